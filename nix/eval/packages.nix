# Packages by name only, and writers that keep what they were given, so that a test can read it.
{ lib }:
let
  package = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${builtins.substring 0 32 (builtins.hashString "sha256" name)}-${name}";
    meta.mainProgram = name;
  };
in
lib.genAttrs [
  "ci-warm"
  "docker"
  "gitMinimal"
  "gnupg"
  "gnutar"
  "gzip"
  "nix"
  "nixos-rebuild"
  "openssh"
  "xz"
] package
// {
  buildPackages.systemd = package "systemd";
  formats.json = _: {
    type = lib.types.json;
    generate = name: value: package name // { inherit value; };
  };
  runCommand =
    name: _: script:
    package name // { inherit script; };
}
