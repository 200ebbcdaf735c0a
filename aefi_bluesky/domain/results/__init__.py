"""What a scan gave: frames, images, voltages, and how well they are known."""
