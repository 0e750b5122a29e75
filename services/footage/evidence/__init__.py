"""Evidence: what a recorder signs about a segment, the bundle that is handed out, and how a bundle is checked offline.

`statement` is what recorders sign; `manifest` describes a bundle; `bundle` writes one; `verify` checks one with
nothing but this package; `report` is the readable page that lies beside the footage.
"""
