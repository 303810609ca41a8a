# Evaluate the host of a flake that uses ours, without nixpkgs: what a test wants to read of each.
{
  flake,
  lib ? import ./lib.nix,
}:
let
  outputs = flake.outputs {
    self = outputs;
    nixpkgs.lib.nixosSystem = system: system;
    # default.nix has the module already.
    ci-warm.nixosModules.default = { };
  };
in
builtins.mapAttrs (
  _: system:
  import ./default.nix {
    inherit lib;
    config.imports = system.modules;
  }
) outputs.nixosConfigurations
