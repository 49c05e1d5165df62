"""The jobs: each reads its arguments, moves data by one layer, and has the guard look at what it wrote."""
