"""What goes when: rules, holds, thinning, and the pass that carries them out."""
