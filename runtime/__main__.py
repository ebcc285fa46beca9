"""``python -m runtime``: the same as ``peerwatt``."""

from runtime.cli import main

if __name__ == "__main__":
    main()
