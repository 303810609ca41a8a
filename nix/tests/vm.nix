# A whole NixOS host: enable, deploy with a credential, a canonical seeded, a switch, an upgrade, a broken one rolled back
# through a crash in mid-upgrade, and a sweep that switches the host itself.
# tests/systemd/ plays the same scenes on a Debian host, where no Nix is at hand.
{ pkgs, ... }:
let
  program = "${../../reconciler/demo/notes_app.sh}";

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
        install -m 755 ${program} notes_app.sh
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
          secrets = [ "token" ];
          deploy.endpoint_mode = "dnsrr";
        };
        secrets.token = {
          external = true;
          name = "\${STACK_NAME}_token_\${SECRET_TOKEN_VERSION}";
        };
        volumes.data = { };
      }
    );

  # release RECIPE TAG COMPOSE
  release = pkgs.writeShellScript "release" ''
    set -eu
    export HOME=/root GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
    git=${pkgs.lib.getExe pkgs.gitMinimal}
    mkdir -p "/srv/$1" && cd "/srv/$1"
    test -d .git || $git init --quiet --initial-branch=main
    cp --no-preserve=mode "$3" compose.yml
    printf 'TYPE=notes\nSECRET_TOKEN_VERSION=v1\n' >.env.sample
    $git add --all && $git commit --quiet --allow-empty --message "$2" && $git tag --annotate --message "$2" "$2"
  '';

  # What a sweep runs first on a host: here to the other system that the machine was built with.
  switch = pkgs.writeShellScript "switch" ''
    exec /run/booted-system/specialisation/next/bin/switch-to-configuration test
  '';

  app = port: recipe: {
    recipe.url = "file:///srv/${recipe}";
    env.PUBLISHED_PORT = toString port;
    secrets.token = {
      version = "v1";
      file = "/run/credentials/ci-warm.service/token";
    };
    health = {
      inherit port;
      scheme = "http";
      path = "/health";
      min_healthy = "1s";
    };
    upgrade.bake = "0s";
  };
in
{
  name = "ci-warm";

  nodes.machine = {
    virtualisation = {
      memorySize = 2048;
      diskSize = 4096;
      docker.enable = true;
    };
    # A path of the host, as any secret is: what the store holds each user can read.
    systemd.tmpfiles.rules = [ "f /var/lib/secrets/token 0400 root root - 4711" ];
    services.ci-warm = {
      enable = true;
      credentials.token = "/var/lib/secrets/token";
      settings = {
        git.allow_file = true;
        fetch_every = "2s";
        daemon.interval = "2s";
        runs.min_free = 0;
        domain_suffix = "example.test";
        sweep = {
          system = "/run/current-system";
          wanted_system = "/run/booted-system/specialisation/next";
        };
      };
      sweep.before = [ "${switch}" ];
      apps = {
        notes = app 8099 "notes" // {
          domain = "notes.example.test";
        };
        shelf = app 8098 "shelf" // {
          kind = "canonical";
        };
      };
    };
    specialisation.next.configuration = {
      services.ci-warm.settings.disk.high = 90;
      # Its unit changes with the switch that it runs itself.
      systemd.services.ci-warm-sweep.environment.NEXT = "1";
    };
  };

  testScript = ''
    import json

    STATE = "/var/lib/ci-warm"
    SWITCH = "/run/booted-system/specialisation/next/bin/switch-to-configuration test"


    def results(app: str) -> list[str]:
        lines = [json.loads(line) for line in machine.succeed(f"cat {STATE}/history.jsonl").splitlines()]
        return [line["result"] for line in lines if line["app"] == app]


    def known(version: str) -> None:
        machine.wait_until_succeeds(f"grep -qx '{version}' {STATE}/notes/last_good", timeout=180)
        machine.wait_until_succeeds(f"test ! -e {STATE}/notes/journal.json", timeout=60)


    def pid() -> str:
        return machine.succeed("systemctl show -P MainPID ci-warm").strip()


    machine.start()
    machine.wait_for_unit("docker.service")
    machine.succeed("docker swarm init --advertise-addr 127.0.0.1")
    for archive in ${builtins.toJSON (map (one: "${one}") (builtins.attrValues images))}:
        machine.succeed(f"docker load < {archive}")

    with subtest("the first deploy, with a credential of the host"):
        machine.succeed("${release} notes 1.0.0+5.0.0 ${compose "5.0.0"}")
        machine.wait_for_unit("ci-warm.service")
        known("1.0.0+5.0.0")
        container = machine.succeed("docker ps --quiet --filter name=notes_example_test_app").strip()
        assert machine.succeed(f"docker exec {container} cat /run/secrets/token").strip() == "4711"

    with subtest("a canonical is seeded by the daemon"):
        machine.succeed("${release} shelf 1.0.0+5.0.0 ${compose "5.0.0"}")
        machine.wait_until_succeeds("ci-warm canonical list | grep -w idle", timeout=240)
        assert "cold-green:1.0.0+5.0.0" in results("shelf"), results("shelf")
        assert machine.succeed("docker service ls --quiet --filter name=shelf").strip() == ""

    with subtest("a switch with other settings reloads and does not restart"):
        before = pid()
        machine.succeed(SWITCH)
        assert pid() == before
        machine.succeed("/run/booted-system/bin/switch-to-configuration test")

    with subtest("an upgrade"):
        machine.succeed("${release} notes 1.0.1+5.0.1 ${compose "5.0.1"}")
        known("1.0.1+5.0.1")

    with subtest("a broken upgrade comes back, and the machine may crash meanwhile"):
        machine.succeed("${release} notes 1.0.2+5.0.2 ${compose "5.0.2"}")
        machine.wait_until_succeeds(f"test -e {STATE}/notes/journal.json", timeout=120)
        # What is under test is our journal; what others had not yet written is theirs to lose.
        machine.succeed("sync")
        machine.crash()
        machine.start()
        machine.wait_for_unit("ci-warm.service")
        machine.wait_until_succeeds(f"ls {STATE}/alerts/*-rollback.json", timeout=240)
        known("1.0.1+5.0.1")
        assert results("notes")[-1] == "rolled-back:1.0.2+5.0.2->1.0.1+5.0.1", results("notes")
        machine.succeed("! grep -q 'schema 3' /var/lib/docker/volumes/notes_example_test_data/_data/notes.txt")

    with subtest("the sweep survives the switch that it runs itself"):
        machine.succeed("systemctl list-timers --all | grep ci-warm-sweep.timer")
        before = pid()
        machine.succeed("systemctl start ci-warm-sweep")
        report = json.loads(machine.succeed(f"cat {STATE}/sweeps/*.json"))
        assert report["result"] == "done", report
        assert {item["name"]: item["result"] for item in report["items"]}["cold shelf"] == "skipped", report
        assert pid() == before
        assert json.loads(machine.succeed("cat /etc/ci-warm/config.yaml"))["disk"]["high"] == 90

    assert machine.succeed("systemctl --failed --plain --no-legend").strip() == ""
    machine.succeed("ci-warm doctor")
  '';
}
