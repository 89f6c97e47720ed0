"""What people look at: pages of results, and pictures drawn with matplotlib when asked for."""
