"""The connector kit: what authors of connectors build with, and the suite that shows that a connector is right.

Part of the installed package, so a connector of another repository uses it in the same way.
"""
