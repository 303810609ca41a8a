# The NixOS options that our module sets or reads, so that a misspelt one is an error here too.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  of = type: default: mkOption { inherit type default; };
  strings = of (types.listOf types.str) [ ];
  anything = of (types.attrsOf types.json) { };
  unit = {
    wantedBy = strings;
    reloadTriggers = of (types.listOf types.package) [ ];
    unitConfig = anything;
  };
in
{
  options = {
    assertions = of (types.listOf types.json) [ ];
    warnings = strings;
    environment.etc = of (types.attrsOf (
      types.submodule {
        options.source = mkOption { type = types.package; };
      }
    )) { };
    environment.systemPackages = of (types.listOf types.package) [ ];
    environment.sessionVariables = anything;
    networking.proxy.envVars = anything;
    nix.envVars = anything;
    nix.package = of types.package {
      type = "derivation";
      outPath = "/nix/store/nix";
    };
    system.build.nixos-rebuild = of types.package {
      type = "derivation";
      outPath = "/nix/store/nixos-rebuild";
    };
    system.checks = of (types.listOf types.package) [ ];
    systemd.packages = of (types.listOf types.package) [ ];
    systemd.services = of (types.attrsOf (
      types.submodule {
        options = unit // {
          path = of (types.listOf types.package) [ ];
          environment = anything;
          serviceConfig = anything;
        };
      }
    )) { };
    systemd.timers = of (types.attrsOf (
      types.submodule {
        options = unit // {
          timerConfig = anything;
        };
      }
    )) { };
    users.groups = of (types.attrsOf (types.submodule { options.members = strings; })) { };
    virtualisation.docker = {
      enable = of types.bool false;
      liveRestore = of types.bool true;
      autoPrune.enable = of types.bool false;
      package = of types.package {
        type = "derivation";
        outPath = "/nix/store/docker";
      };
    };
  };
}
