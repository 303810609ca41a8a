# The NixOS options that our module sets or reads, so that a misspelt one is an error here too.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  of = type: default: mkOption { inherit type default; };
  strings = of (types.listOf types.str) [ ];
  anything = of (types.attrsOf types.json) { };
  unit = {
    wantedBy = strings;
    enable = of types.bool true;
    restartTriggers = strings;
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
    boot.kernelModules = strings;
    security.lockKernelModules = of types.bool false;
    programs.ssh.package = of types.package {
      type = "derivation";
      outPath = "/nix/store/openssh";
    };
    nix.enable = of types.bool true;
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
    users.users = of (types.attrsOf (
      types.submodule (
        { name, ... }:
        {
          options.name = of types.str name;
          options.isNormalUser = of types.bool false;
          options.isSystemUser = of types.bool false;
          options.group = of types.str "";
          options.extraGroups = strings;
          options.openssh.authorizedKeys.keys = strings;
        }
      )
    )) { };
    users.groups = of (types.attrsOf (types.submodule { options.members = strings; })) { };
    virtualisation.docker = {
      enable = of types.bool false;
      liveRestore = of types.bool true;
      daemon.settings = anything;
      extraOptions = of types.str "";
      rootless.enable = of types.bool false;
      rootless.setSocketVariable = of types.bool false;
      autoPrune = {
        enable = of types.bool false;
        flags = strings;
        allVolumes.enable = of types.bool false;
      };
      package = of types.package {
        type = "derivation";
        outPath = "/nix/store/docker";
      };
    };
  };
}
