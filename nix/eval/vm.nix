# The VM test, evaluated with writers that keep what they were given: its script for Python, those for a shell, its host.
let
  own = import ./lib.nix;
  named = name: text: "/nix/store/${builtins.hashString "md5" "${name} ${text}"}-${name}";
  marked = text: "<shell>${text}</shell>";
  package = name: {
    type = "derivation";
    outPath = named name "";
    meta.mainProgram = name;
  };
  pkgs = {
    lib.getExe = own.getExe;
    dockerTools.buildImage = image: named image.tag "";
    buildEnv = env: named env.name "";
    pkgsStatic.busybox = package "busybox";
    gitMinimal = package "git";
    gnupg = package "gnupg";
    writeText = named;
    writeShellScript = named;
  };
  test = import ../tests/vm.nix {
    inherit pkgs;
    inherit (pkgs) lib;
  };
  # With the texts themselves where the test names the files that they become.
  seen = import ../tests/vm.nix {
    inherit (pkgs) lib;
    pkgs = pkgs // {
      writeShellScript = _: marked;
      dockerTools.buildImage = image: marked image.extraCommands;
    };
  };
  inherit (own) mkOption types;
  options = {
    virtualisation.memorySize = mkOption { type = types.int; };
    virtualisation.diskSize = mkOption { type = types.int; };
    systemd.tmpfiles.rules = mkOption { type = types.listOf types.str; };
    specialisation = mkOption { type = types.attrsOf types.json; };
  };
  host =
    extra:
    import ./default.nix {
      config.imports = [
        { inherit options; }
        test.nodes.machine
        extra
      ];
    };
in
{
  inherit (test) name testScript;
  shell = [ seen.testScript ] ++ seen.nodes.machine.services.ci-warm.sweep.before;
  machine = host { };
  next = host test.nodes.machine.specialisation.next.configuration;
}
