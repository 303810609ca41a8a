# A whole NixOS host: enable, deploy, upgrade, a broken upgrade rolled back, a crash in mid-upgrade, a switch, the timer.
# tests/systemd/ plays the same scenes on a Debian host, where no Nix is at hand.
{ pkgs, ... }:
let
  app = "${../../reconciler/demo/notes_app.sh}";

  image =
    version: env:
    pkgs.dockerTools.buildImage {
      name = "t/notes";
      tag = version;
      copyToRoot = pkgs.buildEnv {
        name = "root";
        paths = [ pkgs.pkgsStatic.busybox ];
      };
      runAsRoot = null;
      extraCommands = ''
        install -m 755 ${app} notes_app.sh
        mkdir -p tmp www data
      '';
      config = {
        Cmd = [
          "/bin/sh"
          "/notes_app.sh"
        ];
        Env = [
          "PATH=/bin"
          "VERSION=${version}"
        ]
        ++ env;
      };
    };

  images = {
    "5.0.0" = image "5.0.0" [ "SCHEMA=1" ];
    "5.0.1" = image "5.0.1" [ "SCHEMA=2" ];
    "5.0.2" = image "5.0.2" [
      "SCHEMA=3"
      "FAIL=after"
    ];
  };

  compose =
    version:
    pkgs.writeText "compose.yml" (
      builtins.toJSON {
        version = "3.8";
        services.app = {
          image = "t/notes:${version}";
          ports = [
            {
              target = 8080;
              published = "\${PUBLISHED_PORT}";
              mode = "host";
            }
          ];
          volumes = [ "data:/data" ];
          deploy.endpoint_mode = "dnsrr";
        };
        volumes.data = { };
      }
    );

  release = pkgs.writeShellScript "release" ''
    set -eu
    export HOME=/root GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
    git=${pkgs.lib.getExe pkgs.gitMinimal}
    mkdir -p /srv/recipe && cd /srv/recipe
    test -d .git || $git init --quiet --initial-branch=main
    cp --no-preserve=mode "$2" compose.yml
    printf 'TYPE=notes\n' >.env.sample
    $git add --all && $git commit --quiet --allow-empty --message "$1" && $git tag --annotate --message "$1" "$1"
  '';
in
{
  name = "ci-warm";

  nodes.machine = {
    virtualisation = {
      memorySize = 2048;
      diskSize = 4096;
      docker.enable = true;
    };
    services.ci-warm = {
      enable = true;
      settings = {
        git.allow_file = true;
        fetch_every = "2s";
        daemon.interval = "2s";
      };
      sweep.before = [ "true" ];
      settings.sweep.wanted_system = "/run/current-system";
      # No recipe is enrolled on this machine, which would be an alert.
      settings.sweep.cold = false;
      apps.notes = {
        recipe.url = "file:///srv/recipe";
        domain = "notes.example.test";
        env.PUBLISHED_PORT = "8099";
        health = {
          scheme = "http";
          port = 8099;
          path = "/health";
          min_healthy = "1s";
        };
        upgrade.bake = "0s";
      };
    };
    specialisation.next.configuration.services.ci-warm.settings.disk.high = 90;
  };

  testScript = ''
    import json

    def results():
        lines = machine.succeed("cat /var/lib/ci-warm/history.jsonl").splitlines()
        return [json.loads(line)["result"] for line in lines]

    def known(version):
        machine.wait_until_succeeds(f"grep -qx '{version}' /var/lib/ci-warm/notes/last_good", timeout=180)
        machine.wait_until_succeeds("test ! -e /var/lib/ci-warm/notes/journal.json", timeout=60)

    machine.start()
    machine.wait_for_unit("docker.service")
    machine.succeed("docker swarm init --advertise-addr 127.0.0.1")
    ${pkgs.lib.concatMapStringsSep "\n    " (one: ''machine.succeed("docker load < ${one}")'') (builtins.attrValues images)}

    with subtest("the first deploy"):
        machine.succeed("${release} 1.0.0+5.0.0 ${compose "5.0.0"}")
        machine.wait_for_unit("ci-warm.service")
        known("1.0.0+5.0.0")

    with subtest("a switch with other settings reloads and does not restart"):
        pid = machine.succeed("systemctl show -P MainPID ci-warm").strip()
        machine.succeed("/run/current-system/specialisation/next/bin/switch-to-configuration test")
        assert pid == machine.succeed("systemctl show -P MainPID ci-warm").strip()

    with subtest("an upgrade"):
        machine.succeed("${release} 1.0.1+5.0.1 ${compose "5.0.1"}")
        known("1.0.1+5.0.1")

    with subtest("a broken upgrade comes back, and the machine may crash meanwhile"):
        machine.succeed("${release} 1.0.2+5.0.2 ${compose "5.0.2"}")
        machine.wait_until_succeeds("test -e /var/lib/ci-warm/notes/journal.json", timeout=120)
        machine.crash()
        machine.start()
        machine.wait_for_unit("ci-warm.service")
        machine.wait_until_succeeds("ls /var/lib/ci-warm/alerts/*-rollback.json", timeout=240)
        known("1.0.1+5.0.1")
        assert results()[-1] == "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1"
        machine.succeed("! grep -q 'schema 3' /var/lib/docker/volumes/notes_example_test_data/_data/notes.txt")

    with subtest("the sweep"):
        machine.succeed("systemctl list-timers --all | grep ci-warm-sweep.timer")
        machine.succeed("systemctl start ci-warm-sweep")
        machine.succeed("grep -q '\"result\": *\"done\"' /var/lib/ci-warm/sweeps/*.json")

    assert machine.succeed("systemctl --failed --plain --no-legend").strip() == ""
    machine.succeed("ci-warm doctor")
  '';
}
