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

  isLiveRestore =
    flag:
    lib.hasPrefix "--live-restore" flag
    && !(lib.elem flag [
      "--live-restore=false"
      "--live-restore=0"
    ]);

  # The filter may stand in one word or in two.
  keepsPins = lib.any (lib.hasInfix "label!=ci-warm.pin") docker.autoPrune.flags;
  prunesVolumes =
    docker.autoPrune.enable
    && ((docker.autoPrune.allVolumes.enable or false) || lib.elem "--volumes" docker.autoPrune.flags);

  # What is null was not said: the program's own defaults hold.
  said = lib.filterAttrs (_: value: value != null);

  settingsFile = format.generate "config.yaml" cfg.settings;

  enabledApps = lib.filterAttrs (_: app: app.enable) cfg.apps;
  specOf = app: said (removeAttrs app [ "enable" ]) // { recipe = said app.recipe; };
  appFiles = lib.mapAttrs (name: app: format.generate "${name}.yaml" (specOf app)) enabledApps;

  docker = config.virtualisation.docker;
  dockerFlags = lib.splitString " " docker.extraOptions;
  # A flag of the daemon wins over its settings.
  dataRootFlag = builtins.match ".*--data-root[ =]+([^ ]+).*" docker.extraOptions;
  dataRoot =
    if dataRootFlag != null then
      builtins.head dataRootFlag
    else
      docker.daemon.settings.data-root or "/var/lib/docker";

  # The file has to be called so: Docker's own programs look for it in a folder.
  registryFile = "config.json";
  secretFiles =
    cfg.credentials
    // lib.optionalAttrs (cfg.registryCredentials != null) {
      ${registryFile} = cfg.registryCredentials;
    };
  loadCredential = lib.mapAttrsToList (name: file: "${name}:${toString file}") secretFiles;
  # systemd would read a space, a quote or a per cent sign its own way.
  isPlainPath = file: builtins.match "/[a-zA-Z0-9/._@+=,~-]*" (toString file) != null;
  isInStore = file: builtins.isPath file || lib.hasPrefix "/nix/store/" (toString file);
  refusedFile =
    option: file:
    if builtins.isPath file then
      "${option} is the path literal ${toString file}, which Nix would copy into its world-readable store; write it as a string: \"${toString file}\"."
    else if isInStore file then
      "${option} is \"${toString file}\" in the world-readable store; it must be the path of a file outside of it, as a string, such as \"/run/keys/secret\"."
    else
      "${option} is \"${toString file}\"; it must be an absolute path of letters, digits and -._@+=,~ only, such as \"/run/keys/secret\".";
  filesGiven =
    lib.mapAttrsToList (name: file: {
      inherit file;
      option = "services.ci-warm.credentials.${name}";
    }) cfg.credentials
    ++ lib.optional (cfg.registryCredentials != null) {
      file = cfg.registryCredentials;
      option = "services.ci-warm.registryCredentials";
    }
    ++ lib.optional (cfg.web.tokensFile != null) {
      file = cfg.web.tokensFile;
      option = "services.ci-warm.web.tokensFile";
    };

  declaredUsers = map (user: user.name) (lib.attrValues config.users.users);

  # What the daemon takes from its settings only when it starts.
  atStart = {
    inherit (cfg.settings) domain_suffix;
    monitor = cfg.settings.monitor or { };
    group = cfg.settings.group or null;
    paths = (cfg.settings.disk or { }).paths or [ ];
  };

  analyze = lib.getExe' pkgs.buildPackages.systemd "systemd-analyze";
  checkTime = option: kind: value: right: ''
    ${analyze} ${kind} -- ${lib.escapeShellArg value} >/dev/null || {
      echo ${lib.escapeShellArg "${option} is \"${value}\", which systemd.time(7) does not know; right would be ${right}."} >&2
      exit 1
    }
  '';

  # A mistake fails the rebuild and not the host that runs.
  validated = pkgs.runCommand "ci-warm-config-validated" { } ''
    ${checkTime "services.ci-warm.sweep.dates" "calendar" cfg.sweep.dates "\"*-*-* 02:30:00\""}
    ${checkTime "services.ci-warm.sweep.randomizedDelaySec" "timespan" cfg.sweep.randomizedDelaySec
      "\"15min\""
    }
    mkdir -p etc/apps
    cp ${settingsFile} etc/config.yaml
    ${lib.concatStringsSep "\n" (
      lib.mapAttrsToList (name: file: "cp ${file} etc/apps/${name}.yaml") appFiles
    )}
    ${lib.getExe cfg.package} --config "$PWD/etc/config.yaml" validate || {
      echo 'config.yaml is services.ci-warm.settings, apps/<name>.yaml is services.ci-warm.apps.<name>.' >&2
      exit 1
    }
    touch $out
  '';

  # One manager needs these for overlay networks and published ports; nixpkgs' docker module names its others.
  swarmModules = [
    "ip_vs"
    "ip_vs_rr"
    "nf_conntrack_netlink"
    "nf_tables"
    "nft_chain_nat"
    "nft_compat"
    "overlay"
    "vxlan"
    "xt_addrtype"
    "xt_conntrack"
    "xt_ipvs"
    "xt_mark"
    "xt_MASQUERADE"
    "xt_REDIRECT"
    "xt_tcpudp"
  ];

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
        Secret files for the daemon and the sweep, as strings: a path literal would be copied into the world-readable
        store. A spec names them as {file}`/run/credentials/ci-warm.service/<name>`.
      '';
    };

    registryCredentials = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/run/keys/docker-config.json";
      description = ''
        File with the logins to image registries, in the form of Docker's {file}`config.json`; as a string, like
        {option}`services.ci-warm.credentials`. It is read anew when the daemon is started, and takes the place of
        {file}`/etc/ci-warm/docker/config.json`.
      '';
    };

    operators = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = "Users, declared in {option}`users.users`, who may read alerts, history and status without root.";
    };

    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.curl ]";
      description = "Programs on the PATH of the daemon and the sweep, beside Docker, git and ssh.";
    };

    volumesPath = mkOption {
      type = types.path;
      default = "${dataRoot}/volumes";
      defaultText = lib.literalExpression ''"''${config.virtualisation.docker.daemon.settings.data-root}/volumes"'';
      example = "/data/docker/volumes";
      description = "Where Docker keeps volumes: the only place beside its own state that the daemon may write to.";
    };

    web = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether the page and the API are served, by an unprivileged process of its own. Where, and under which names, is
          `settings.web`; by default on the socket {file}`/run/ci-warm-web/web.sock`.
        '';
      };
      tokensFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/run/keys/ci-warm-web";
        description = ''
          File of hashed tokens, a line each as `ci-warm web-token` makes them, as a string: a path literal would be copied into
          the world-readable store. Without it the page is read-only.
        '';
      };
    };

    sweep = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether a timer starts the nightly sweep. By hand it can be started all the same.";
      };
      dates = mkOption {
        type = types.singleLineStr;
        default = "*-*-* 02:30:00";
        example = "Mon..Fri 01:00";
        description = "When, as in {manpage}`systemd.time(7)`.";
      };
      randomizedDelaySec = mkOption {
        type = types.singleLineStr;
        default = "15min";
        example = "0";
        description = "Spread of the start, a time span of {manpage}`systemd.time(7)`.";
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
        description = ''
          What the sweep runs first, as a list of arguments. The sweep survives the switch it runs itself. It is
          hardened: what changes the system itself has to run in a unit of its own, as what nixos-rebuild starts does.
        '';
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = docker.enable;
        message = "services.ci-warm needs virtualisation.docker.enable = true: only Docker's own engine, run by root, has a Swarm. Neither podman nor virtualisation.docker.rootless is a substitute.";
      }
      {
        assertion = !docker.liveRestore && !(docker.daemon.settings.live-restore or false);
        message = "virtualisation.docker.liveRestore (virtualisation.docker.daemon.settings.live-restore) is true, which a Swarm refuses; set it to false.";
      }
      {
        assertion = !(lib.any isLiveRestore dockerFlags);
        message = "virtualisation.docker.extraOptions is \"${docker.extraOptions}\": a Swarm refuses --live-restore; take it out.";
      }
      {
        assertion = isPlainPath cfg.volumesPath && toString cfg.volumesPath != "/";
        message = "services.ci-warm.volumesPath is \"${toString cfg.volumesPath}\"; it must be the folder of Docker's volumes, such as \"/var/lib/docker/volumes\", of letters, digits and -._@+=,~ only.";
      }
      {
        assertion = !(cfg.credentials ? ${registryFile}) || cfg.registryCredentials == null;
        message = "services.ci-warm.credentials.\"${registryFile}\" and services.ci-warm.registryCredentials would be the same file; give the first another name.";
      }
      {
        assertion = cfg.sweep.before == [ ] || cfg.sweep.enable;
        message = "services.ci-warm.sweep.before is set, but services.ci-warm.sweep.enable is false; set it to true, or before to [ ].";
      }
      {
        assertion = cfg.sweep.before == [ ] || builtins.head cfg.sweep.before != "";
        message = "services.ci-warm.sweep.before begins with \"\"; its first word must be a program, such as \"nixos-rebuild\".";
      }
      {
        assertion = !prunesVolumes;
        message = "virtualisation.docker.autoPrune removes volumes, and with them the data of every canonical that is idle; set virtualisation.docker.autoPrune.allVolumes.enable to false and take --volumes out of its flags.";
      }
    ]
    ++ map (given: {
      assertion = isPlainPath given.file && !(isInStore given.file);
      message = refusedFile given.option given.file;
    }) filesGiven
    ++ lib.mapAttrsToList (name: _: {
      assertion = builtins.match "[a-zA-Z0-9_][a-zA-Z0-9._-]*" name != null;
      message = "services.ci-warm.credentials.\"${name}\": a name is made of letters, digits, dots, dashes and underscores.";
    }) cfg.credentials
    ++ map (name: {
      assertion = lib.elem name declaredUsers;
      message = "services.ci-warm.operators names \"${name}\", who is no user of this host; declare users.users.${name}.";
    }) cfg.operators
    ++ lib.mapAttrsToList (name: spec: {
      assertion = spec.kind == "canonical" || spec.domain != null;
      message = "services.ci-warm.apps.${name} is live and needs a domain, such as \"${name}.example.net\".";
    }) enabledApps;

    warnings =
      lib.optional (enabledApps == { }) "services.ci-warm is enabled without any app."
      ++ lib.optional (docker.autoPrune.enable && !keepsPins) ''
        virtualisation.docker.autoPrune removes the stopped containers by which ci-warm keeps images for a rollback.
        Add `--filter=label!=ci-warm.pin` to its flags, or leave pruning to ci-warm.
      ''
      ++ lib.optional ((docker.rootless.enable or false) && docker.rootless.setSocketVariable) ''
        virtualisation.docker.rootless.setSocketVariable names another engine to each user who logs in: run ci-warm by
        hand with DOCKER_HOST=unix:///run/docker.sock, where the Swarm is.
      '';

    # Nothing can be loaded later, and a Swarm loads them when its first service starts.
    boot.kernelModules = lib.mkIf config.security.lockKernelModules swarmModules;

    virtualisation.docker.liveRestore = lib.mkDefault false;

    services.ci-warm.settings = lib.mkMerge [
      (lib.mkIf (cfg.sweep.before != [ ]) {
        sweep = {
          inherit (cfg.sweep) before;
          system = lib.mkDefault "/run/current-system";
          wanted_system = lib.mkDefault "/nix/var/nix/profiles/system";
        };
      })
      (lib.mkIf (dataRoot != "/var/lib/docker") { disk.paths = lib.mkDefault [ dataRoot ]; })
    ];

    environment.etc = {
      "ci-warm/config.yaml".source = settingsFile;
    }
    // lib.mapAttrs' (
      name: file: lib.nameValuePair "ci-warm/apps/${name}.yaml" { source = file; }
    ) appFiles;
    environment.systemPackages = [ cfg.package ];
    system.checks = [ validated ];

    users.groups.ci-warm.members = cfg.operators;
    # The name that the unit runs as, and that the daemon knows (settings.web.user).
    users.users = lib.mkIf cfg.web.enable {
      ci-warm-web = {
        isSystemUser = true;
        group = "ci-warm";
      };
    };

    # The units are those of the package, as on any other host; here is only what a NixOS host adds to them.
    systemd.packages = [ cfg.package ];
    systemd.services.ci-warm = {
      wantedBy = [ "multi-user.target" ];
      reloadTriggers = [ settingsFile ] ++ lib.attrValues appFiles;
      restartTriggers = [ (builtins.toJSON atStart) ];
      path = [
        docker.package
        pkgs.gitMinimal
        pkgs.gnupg
        config.programs.ssh.package
      ]
      ++ cfg.extraPackages;
      environment =
        config.networking.proxy.envVars
        // lib.optionalAttrs (cfg.registryCredentials != null) {
          DOCKER_CONFIG = "/run/credentials/ci-warm.service";
        };
      serviceConfig = {
        ReadWritePaths = [ "-${toString cfg.volumesPath}" ];
        LoadCredential = loadCredential;
      };
    };
    systemd.services.ci-warm-web = lib.mkIf cfg.web.enable {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ (builtins.toJSON (cfg.settings.web or { })) ];
      serviceConfig = lib.mkIf (cfg.web.tokensFile != null) {
        LoadCredential = [ "tokens:${toString cfg.web.tokensFile}" ];
      };
    };
    # What nixos-rebuild needs, as for any unit that runs it. Builds are nix-daemon's: this unit is too narrow for them.
    systemd.services.ci-warm-sweep = {
      path = [
        docker.package
        config.nix.package
        config.programs.ssh.package
        config.system.build.nixos-rebuild
        pkgs.gitMinimal
        pkgs.gnupg
        pkgs.gnutar
        pkgs.gzip
        pkgs.xz
      ]
      ++ cfg.extraPackages;
      environment =
        config.nix.envVars
        // lib.optionalAttrs config.nix.enable { NIX_REMOTE = "daemon"; }
        // config.networking.proxy.envVars
        // nixPath
        // lib.optionalAttrs (cfg.registryCredentials != null) {
          DOCKER_CONFIG = "/run/credentials/ci-warm.service";
        };
      serviceConfig = lib.mkIf (loadCredential != [ ]) {
        LoadCredential = loadCredential;
        # Specs know one place of a secret, and a unit sees no credentials but its own.
        BindReadOnlyPaths = [ "/run/credentials/ci-warm-sweep.service:/run/credentials/ci-warm.service" ];
      };
    };
    # The package ships the timer, so that only a mask ends it: without our part it would start at the package's hour.
    systemd.timers.ci-warm-sweep =
      if cfg.sweep.enable then
        {
          wantedBy = [ "timers.target" ];
          timerConfig = {
            # The empty one takes the package's own date away.
            OnCalendar = [
              ""
              cfg.sweep.dates
            ];
            RandomizedDelaySec = cfg.sweep.randomizedDelaySec;
          };
        }
      else
        { enable = false; };
  };
}
