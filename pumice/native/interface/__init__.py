"""What stands around a network's C, as templates: its header, its functions, a program that tries it, a library."""
