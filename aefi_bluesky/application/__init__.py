"""What a session does with studies, over the ports of the domain."""
