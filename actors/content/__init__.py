"""Content by its id: the store that puts small content into the database and the rest into files, and metadata."""
