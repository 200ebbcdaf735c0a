"""What a study, a scan, a plan and a flight are; standard library and numpy only."""
