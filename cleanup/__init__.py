"""The cleanup daemon: what is past its time goes; what has lost its other half goes."""
