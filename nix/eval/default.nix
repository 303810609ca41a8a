# Evaluate our module with a configuration and give what a test wants to read. `lib`: the real one, where it is at hand.
{
  config,
  lib ? import ./lib.nix,
}:
let
  own = import ./lib.nix;
  # Types of the stand-in packages and options come from the library that evaluates.
  known = lib // {
    types = lib.types // {
      json = lib.types.json or lib.types.anything;
    };
  };
  pkgs = import ./packages.nix {
    lib = known // {
      inherit (own) genAttrs;
    };
  };
  nixos = import ./nixos.nix { lib = known; };
  evaluated =
    (lib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        nixos
        ../module.nix
        config
      ];
    }).config;
in
{
  inherit (evaluated) warnings;
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) evaluated.assertions);
  files = builtins.mapAttrs (_: file: file.source.value) evaluated.environment.etc;
  checks = map (check: check.script or check.name) evaluated.system.checks;
  services = builtins.mapAttrs (_: service: {
    inherit (service)
      wantedBy
      serviceConfig
      unitConfig
      restartTriggers
      ;
    inherit (service) environment;
    path = map toString service.path;
    reloadTriggers = map (trigger: trigger.name) service.reloadTriggers;
  }) evaluated.systemd.services;
  timers = builtins.mapAttrs (_: timer: {
    inherit (timer) enable wantedBy timerConfig;
  }) evaluated.systemd.timers;
  packages = map (package: package.name) evaluated.systemd.packages;
  users = builtins.mapAttrs (_: user: { inherit (user) isSystemUser group; }) evaluated.users.users;
  members = evaluated.users.groups.ci-warm.members or null;
  inherit (evaluated.virtualisation.docker) liveRestore;
  inherit (evaluated.boot) kernelModules;
}
