# Our outputs on a whole nixpkgs tree: derivations and texts, nothing is built. `missing`: what a tree lacks that was cut
# down; stood in by something empty, so that the rest can be looked at.
{
  nixpkgs,
  packages ? [ ],
  options ? [ ],
  host ? null,
}:
let
  lib = import (nixpkgs + "/lib");
  system = "x86_64-linux";
  overlay =
    _: prev:
    lib.genAttrs packages (
      pname:
      prev.emptyDirectory
      // {
        inherit pname;
        version = "0";
        src = prev.emptyDirectory;
        meta = { };
        compiler.bootstrapAvailable = false;
      }
    );
  gap =
    name:
    { lib, ... }:
    {
      options = lib.setAttrByPath (lib.splitString "." name) (
        lib.mkOption {
          type = lib.types.anything;
          default = { };
        }
      );
    };
  # No machine of a test starts without it.
  overlayfs = "/tasks/filesystems/overlayfs.nix";
  unlisted = lib.optional (
    !lib.hasInfix overlayfs (builtins.readFile (nixpkgs + "/nixos/modules/module-list.nix"))
  ) (nixpkgs + "/nixos/modules" + overlayfs);
  gaps = map gap options;
  on =
    system:
    import nixpkgs {
      inherit system;
      overlays = [ overlay ];
    };
  legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
    system:
    (on system).extend (
      _: prev: {
        testers = prev.testers // {
          runNixOSTest =
            test:
            prev.testers.runNixOSTest {
              imports = [ test ];
              defaults.imports = gaps ++ unlisted;
            };
        };
      }
    )
  );
  flake = import ../../flake.nix;
  self = flake.outputs {
    inherit self;
    nixpkgs = { inherit lib legacyPackages; };
  };
  drv = builtins.mapAttrs (_: builtins.mapAttrs (_: one: one.drvPath));
  pkgs = legacyPackages.${system};
  nixos =
    module:
    (import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = gaps ++ [
        self.nixosModules.default
        module
        {
          nixpkgs.pkgs = pkgs;
          boot.loader.grub.enable = false;
          fileSystems."/" = {
            device = "/dev/vda";
            fsType = "ext4";
          };
          system.stateVersion = lib.trivial.release;
        }
      ];
    }).config;
  # Trees differ in whether the generator keeps the text or what it was made of.
  parsed = value: if builtins.isString value then builtins.fromJSON value else value;
  read = config: {
    failed = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
    inherit (config) warnings;
    daemon = config.systemd.units."ci-warm.service".text;
    files = map (name: parsed config.environment.etc.${name}.source.value) (
      builtins.filter (lib.hasPrefix "ci-warm/") (builtins.attrNames config.environment.etc)
    );
    toplevel = config.system.build.toplevel.drvPath;
  };
in
{
  versions = {
    nix = builtins.nixVersion;
    nixpkgs = lib.trivial.version;
    python = pkgs.python3.version;
    docker = pkgs.docker.version;
    git = pkgs.git.version;
    systemd = pkgs.systemd.version;
  };
  package = {
    inherit (self.packages.${system}.default) name drvPath;
    meta = builtins.removeAttrs self.packages.${system}.default.meta [ "position" ];
    cross = (pkgs.pkgsCross.aarch64-multiplatform.callPackage ../package.nix { }).drvPath;
    overlaid = (pkgs.extend self.overlays.default).ci-warm.drvPath;
  };
  packages = drv self.packages;
  shells = drv self.devShells;
  formatter = builtins.mapAttrs (_: one: one.drvPath) self.formatter;
  check = self.checks.${system}.package.drvPath;
  vm = {
    driver = self.checks.${system}.vm.driver.drvPath;
    script = self.checks.${system}.vm.config.testScriptString;
  };
  minimal = read (nixos {
    virtualisation.docker.enable = true;
    services.ci-warm = {
      enable = true;
      apps.shelf.kind = "canonical";
      apps.shelf.recipe.url = "https://git.example.org/recipes/shelf.git";
    };
  });
  example = if host == null then null else read (nixos host);
}
