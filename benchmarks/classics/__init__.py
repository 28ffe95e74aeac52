"""Classic models in the style in which people publish them as scripts: material for agreement.py, written for it."""
