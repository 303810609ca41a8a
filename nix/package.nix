{ lib
, python3Packages
, gitMinimal
,
}:
python3Packages.buildPythonApplication {
  pname = "ci-warm";
  version = (lib.importTOML ../pyproject.toml).project.version;
  pyproject = true;

  # Documents do not rebuild the package.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../pyproject.toml
      ../README.md
      ../reconciler
      ../state-schema
      ../tests
    ];
  };

  build-system = [ python3Packages.hatchling ];

  dependencies = with python3Packages; [
    apprise
    apscheduler
    docker
    prometheus-client
    pydantic
    python-dotenv
    python-keycloak
    pyyaml
    requests
    rich
    semver
    structlog
    tenacity
    typer
    tzdata
  ];

  nativeCheckInputs = [
    gitMinimal
    python3Packages.hypothesis
    python3Packages.pytest-timeout
    python3Packages.pytest-xdist
    python3Packages.pytestCheckHook
  ];

  # These are about this repository and its hosts, not about the program.
  disabledTestPaths = [
    "tests/live"
    "tests/nix"
    "tests/systemd"
  ];

  # The build sandbox has neither an engine nor root.
  disabledTestMarks = [
    "swarm"
    "root"
    "long"
  ];

  # The same unit files as everywhere, with this program's path in them.
  postInstall = ''
    mkdir -p $out/lib/systemd/system
    PYTHONPATH=$out/${python3Packages.python.sitePackages}:$PYTHONPATH ${python3Packages.python.interpreter} \
      -m reconciler install-units --into $out/lib/systemd/system --program $out/bin/ci-warm
  '';

  pythonImportsCheck = [ "reconciler" ];

  meta = {
    description = "Declarative reconciler for Docker Swarm hosts whose upgrades roll back version and data together";
    license = lib.licenses.agpl3Plus;
    mainProgram = "ci-warm";
    platforms = lib.platforms.linux;
  };
}
