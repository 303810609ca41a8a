{ python3Packages
, ruff
, runCommand
, package
,
}:
let
  python = python3Packages.python.withPackages (
    packages:
    package.dependencies
    ++ [
      packages.hypothesis
      packages.import-linter
      packages.mypy
      packages.pytest
      packages.types-pyyaml
      packages.types-requests
    ]
  );
in
runCommand "ci-warm-lint" { nativeBuildInputs = [ python ruff ]; } ''
  cp -r ${package.src} source
  chmod -R u+w source
  cd source
  ruff check --no-cache reconciler
  mypy --cache-dir "$TMPDIR/mypy" reconciler
  lint-imports --no-cache
  touch $out
''
