"""`python -m reconciler`: the program, where no script is installed. Effects: as the command line."""

from reconciler.cli.start import main

if __name__ == "__main__":
    main()
