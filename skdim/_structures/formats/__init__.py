"""File formats of crystals, recognised by their content.

Each module recognises one format in a text, splits the text into one text for each crystal, and reads such a text.
``detect`` lists them; CIF, the largest, has modules of its own next to this folder.
"""
