{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  cfg = config.services.ci-warm;
  format = pkgs.formats.json { };

  # What is null was not said: the program's own defaults hold.
  said = lib.filterAttrs (_: value: value != null);

  settingsFile = format.generate "config.yaml" cfg.settings;

  enabledApps = lib.filterAttrs (_: app: app.enable) cfg.apps;
  specOf = app: said (removeAttrs app [ "enable" ]) // { recipe = said app.recipe; };
  appFiles = lib.mapAttrs (name: app: format.generate "${name}.yaml" (specOf app)) enabledApps;

  # A mistake fails the rebuild and not the host that runs.
  validated = pkgs.runCommand "ci-warm-config-validated" { } ''
    mkdir -p etc/apps
    cp ${settingsFile} etc/config.yaml
    ${lib.concatStringsSep "\n" (
      lib.mapAttrsToList (name: file: "cp ${file} etc/apps/${name}.yaml") appFiles
    )}
    ${lib.getExe cfg.package} --config "$PWD/etc/config.yaml" validate
    touch $out
  '';

  session = config.environment.sessionVariables;
  nixPath = if session ? NIX_PATH then { inherit (session) NIX_PATH; } else { };

  app =
    { name, ... }:
    {
      freeformType = format.type;
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether ci-warm takes care of this app. Switching it off leaves what runs as it is.";
        };
        name = mkOption {
          type = types.strMatching "[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?";
          default = name;
          defaultText = lib.literalExpression "<name>";
          example = "keycloak";
          description = "Name of the app in paths, labels and locks.";
        };
        kind = mkOption {
          type = types.enum [
            "live"
            "canonical"
          ];
          default = "live";
          example = "canonical";
          description = "`live` always runs; a `canonical` is undeployed when idle and keeps its data.";
        };
        domain = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "sso.ci.example.net";
          description = "Domain of the app. `null`: `warm-<name>.<settings.domain_suffix>`.";
        };
        stateful = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether a rollback brings data back with the version.";
        };
        recipe = mkOption {
          description = "Where the app's releases come from.";
          example = lib.literalExpression ''{ url = "https://git.example.org/recipes/keycloak.git"; }'';
          type = types.submodule {
            freeformType = format.type;
            options = {
              url = mkOption {
                type = types.str;
                example = "https://git.example.org/recipes/keycloak.git";
                description = "Git repository of the recipe.";
              };
              track = mkOption {
                type = types.nullOr types.str;
                default = null;
                example = "10.x";
                description = "`latest`, an exact version, or a range. `null`: latest.";
              };
            };
          };
        };
      };
    };
in
{
  options.services.ci-warm = {
    enable = lib.mkEnableOption "ci-warm, the reconciler of this Docker Swarm host";

    package = lib.mkPackageOption pkgs "ci-warm" { };

    settings = mkOption {
      type = types.submodule {
        freeformType = format.type;
        options.domain_suffix = mkOption {
          type = types.str;
          default = "";
          example = "ci.example.net";
          description = "Canonicals without a domain get `warm-<name>.<suffix>`.";
        };
      };
      default = { };
      example = lib.literalExpression ''{ disk.high = 85; daemon.interval = "2m"; }'';
      description = ''
        Settings of the daemon, as in {file}`/etc/ci-warm/config.yaml`. They end in the world-readable store: no secret
        belongs here, see {option}`services.ci-warm.credentials`.
      '';
    };

    apps = mkOption {
      type = types.attrsOf (types.submodule app);
      default = { };
      example = lib.literalExpression ''
        {
          keycloak = {
            recipe.url = "https://git.example.org/recipes/keycloak.git";
            domain = "sso.ci.example.net";
            health.path = "/realms/master";
            after = [ "traefik" ];
          };
        }
      '';
      description = ''
        Specs, one per app; each becomes {file}`/etc/ci-warm/apps/<name>.yaml`. Every key of a spec may be set. Which
        version runs is not part of it, so that the system does not change with it.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = lib.literalExpression ''{ wildcard = "/run/keys/wildcard.pem"; }'';
      description = ''
        Secret files for the daemon. A spec names them as {file}`/run/credentials/ci-warm.service/<name>`.
      '';
    };

    operators = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = "Users who may read alerts, history and status without root.";
    };

    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.openssh ]";
      description = "Programs on the PATH of the daemon and the sweep, beside Docker and git.";
    };

    volumesPath = mkOption {
      type = types.path;
      default = "/var/lib/docker/volumes";
      example = "/data/docker/volumes";
      description = "Where Docker keeps volumes: the only place beside its own state that the daemon may write to.";
    };

    sweep = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether a timer starts the nightly sweep.";
      };
      dates = mkOption {
        type = types.str;
        default = "*-*-* 02:30:00";
        example = "Mon..Fri 01:00";
        description = "When, as in {manpage}`systemd.time(7)`.";
      };
      randomizedDelay = mkOption {
        type = types.str;
        default = "15min";
        example = "0";
        description = "Spread of the start.";
      };
      before = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [
          "nixos-rebuild"
          "switch"
          "--flake"
          "/etc/nixos"
        ];
        description = "What the sweep runs first, as a list of arguments. The sweep survives the switch it runs itself.";
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.virtualisation.docker.enable;
        message = "services.ci-warm needs virtualisation.docker.enable = true.";
      }
      {
        assertion = !config.virtualisation.docker.liveRestore;
        message = "A Swarm refuses virtualisation.docker.liveRestore; set it to false.";
      }
      {
        assertion = lib.all (file: !(lib.hasPrefix "/nix/store/" file)) (
          map toString (lib.attrValues cfg.credentials)
        );
        message = "services.ci-warm.credentials must not lie in the world-readable store; write their paths as strings.";
      }
      {
        assertion = cfg.sweep.before == [ ] || cfg.sweep.enable;
        message = "services.ci-warm.sweep.before is set, but services.ci-warm.sweep.enable is false.";
      }
    ]
    ++ lib.mapAttrsToList (name: spec: {
      assertion = spec.kind == "canonical" || spec.domain != null;
      message = "services.ci-warm.apps.${name} is live and needs a domain.";
    }) enabledApps;

    warnings =
      lib.optional (enabledApps == { }) "services.ci-warm is enabled without any app."
      ++ lib.optional config.virtualisation.docker.autoPrune.enable ''
        virtualisation.docker.autoPrune removes the stopped containers by which ci-warm keeps images for a rollback.
        Add `--filter=label!=ci-warm.pin` to its flags, or leave pruning to ci-warm.
      '';

    virtualisation.docker.liveRestore = lib.mkDefault false;

    services.ci-warm.settings = lib.mkIf (cfg.sweep.before != [ ]) {
      sweep = {
        inherit (cfg.sweep) before;
        system = lib.mkDefault "/run/current-system";
        wanted_system = lib.mkDefault "/nix/var/nix/profiles/system";
      };
    };

    environment.etc = {
      "ci-warm/config.yaml".source = settingsFile;
    }
    // lib.mapAttrs' (
      name: file: lib.nameValuePair "ci-warm/apps/${name}.yaml" { source = file; }
    ) appFiles;
    environment.systemPackages = [ cfg.package ];
    system.checks = [ validated ];

    users.groups.ci-warm.members = cfg.operators;

    # The units are those of the package, as on any other host; here is only what a NixOS host adds to them.
    systemd.packages = [ cfg.package ];
    systemd.services.ci-warm = {
      wantedBy = [ "multi-user.target" ];
      reloadTriggers = [ settingsFile ] ++ lib.attrValues appFiles;
      path = [
        config.virtualisation.docker.package
        pkgs.gitMinimal
      ]
      ++ cfg.extraPackages;
      serviceConfig = {
        ReadWritePaths = [ "-${cfg.volumesPath}" ];
        LoadCredential = lib.mapAttrsToList (name: file: "${name}:${toString file}") cfg.credentials;
      };
    };
    # What nixos-rebuild needs, as for any unit that runs it.
    systemd.services.ci-warm-sweep = {
      path = [
        config.virtualisation.docker.package
        config.nix.package
        config.system.build.nixos-rebuild
        pkgs.gitMinimal
        pkgs.gnutar
        pkgs.gzip
        pkgs.xz
      ]
      ++ cfg.extraPackages;
      environment = config.nix.envVars // config.networking.proxy.envVars // nixPath;
    };
    systemd.timers.ci-warm-sweep = lib.mkIf cfg.sweep.enable {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        # The empty one takes the package's own date away.
        OnCalendar = [
          ""
          cfg.sweep.dates
        ];
        RandomizedDelaySec = cfg.sweep.randomizedDelay;
      };
    };
  };
}
