"""What is kept on this machine beside Tiled: locks, studies, calibrations."""
