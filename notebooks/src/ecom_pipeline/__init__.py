"""The medallion: bronze mirrors what the sources held, silver holds the newest of each, gold answers questions."""
