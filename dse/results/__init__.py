"""What a run found: rows and counts kept while it goes, and the directory that holds them afterwards."""
