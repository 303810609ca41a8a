# What nix/package.nix says, evaluated with names for packages: how the tests know what is built, checked and left out.
let
  own = import ./lib.nix;
  named = names: own.genAttrs names (name: name);
  lib = {
    inherit (own) genAttrs;
    importTOML = file: fromTOML (builtins.readFile file);
    fileset = {
      unions = files: files;
      toSource = { fileset, ... }: map toString fileset;
    };
    licenses.agpl3Plus = "agpl3Plus";
    makeBinPath = builtins.concatStringsSep ":";
    platforms.linux = [ "x86_64-linux" ];
  };
  python = named [
    "apprise"
    "apscheduler"
    "docker"
    "fastapi"
    "hatchling"
    "hypothesis"
    "jinja2"
    "prometheus-client"
    "pydantic"
    "pytest-timeout"
    "pytest-xdist"
    "pytestCheckHook"
    "python-dotenv"
    "pyyaml"
    "requests"
    "rich"
    "semver"
    "structlog"
    "tenacity"
    "typer"
    "typing-extensions"
    "tzdata"
    "uvicorn"
  ];
  given =
    named [
      "gitMinimal"
      "gnupg"
      "openssh"
      "openssl"
      "procps"
      "versionCheckHook"
    ]
    // {
      inherit lib;
      python3Packages = python // {
        buildPythonApplication =
          call:
          let
            final = call (final // { finalPackage = "ci-warm"; });
          in
          final;
      };
      testers.runNixOSTest = test: test;
    };
  package = import ../package.nix (
    builtins.mapAttrs (name: _: given.${name}) (builtins.functionArgs (import ../package.nix))
  );
in
package
// {
  python = builtins.filter (name: builtins.hasAttr name python) package.nativeCheckInputs;
  programs = builtins.filter (name: !(builtins.hasAttr name python)) package.nativeCheckInputs;
  passthru = builtins.attrNames package.passthru.tests;
}
