"""The flake, the package and the NixOS module, as far as they can be checked without Nix."""
