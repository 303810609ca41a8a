{
  lib,
  python3Packages,
  gitMinimal,
  gnupg,
  openssh,
  openssl,
  procps,
  testers,
  versionCheckHook,
}:
let
  inherit (lib.importTOML ../pyproject.toml) project;
in
python3Packages.buildPythonApplication (finalAttrs: {
  pname = "ci-warm";
  inherit (project) version;
  pyproject = true;

  # Documents do not rebuild the package.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
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
    fastapi
    jinja2
    prometheus-client
    pydantic
    python-dotenv
    pyyaml
    requests
    rich
    semver
    structlog
    tenacity
    typer
    typing-extensions
    tzdata
    uvicorn
  ];

  # An operator who calls it by hand may have no git; what is on the PATH goes first. The other two check signatures.
  makeWrapperArgs = [
    "--suffix"
    "PATH"
    ":"
    (lib.makeBinPath [
      gitMinimal
      gnupg
      openssh
    ])
  ];

  # Completions, and the same unit files as everywhere with this program's path in them. Not by the program: a cross build cannot run it.
  postInstall = ''
    install -D --mode=644 --target-directory=$out/lib/systemd/system reconciler/units/*
    substituteInPlace $out/lib/systemd/system/*.service --replace-fail /usr/bin/ci-warm $out/bin/ci-warm
    install -D --mode=644 reconciler/completions/ci-warm.bash $out/share/bash-completion/completions/ci-warm
    install -D --mode=644 --target-directory=$out/share/zsh/site-functions reconciler/completions/_ci-warm
    install -D --mode=644 --target-directory=$out/share/fish/vendor_completions.d reconciler/completions/ci-warm.fish
  '';

  nativeCheckInputs = [
    gitMinimal
    gnupg
    openssh
    openssl
    procps
    python3Packages.hypothesis
    python3Packages.pytest-timeout
    python3Packages.pytest-xdist
    python3Packages.pytestCheckHook
    versionCheckHook
  ];

  # The tests call the program as it is installed.
  preCheck = ''
    export PATH=$out/bin:$PATH
  '';

  # A crash at every point takes minutes; the others are about this repository and its hosts, not about the program.
  disabledTestPaths = [
    "tests/crash"
    "tests/live"
    "tests/nix"
    "tests/packaging"
    "tests/systemd"
  ];

  # The build sandbox has neither an engine nor root, and the source there no documents.
  disabledTestMarks = [
    "long"
    "matrix"
    "repository"
    "root"
    "swarm"
  ];

  pythonImportsCheck = [ "reconciler" ];

  passthru.tests.vm = testers.runNixOSTest {
    imports = [ ./tests/vm.nix ];
    defaults = {
      imports = [ ./module.nix ];
      services.ci-warm.package = finalAttrs.finalPackage;
    };
  };

  meta = {
    description = "Declarative reconciler for Docker Swarm hosts whose upgrades roll back version and data together";
    homepage = project.urls.Homepage;
    changelog = "${project.urls.Homepage}/src/tag/v${finalAttrs.version}/CHANGELOG.md";
    license = lib.licenses.agpl3Plus;
    inherit (project) maintainers;
    mainProgram = "ci-warm";
    platforms = lib.platforms.linux;
  };
})
