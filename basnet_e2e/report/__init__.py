"""Pictures of results, drawn with matplotlib; it is imported when a picture is drawn."""
