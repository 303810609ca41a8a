#!/bin/sh
# inside.sh RELEASE: called by build.sh in a clean Debian tree; makes the package of /source as /ci-warm_*.deb.
# What is downloaded is what the locks have hashes for; the rest is made without an index.
set -eu
release=$1
umask 022
package=/package
home=/usr/lib/ci-warm
cd /source

python3 -m venv /build
pip() { /build/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
pip install --require-hashes -r build-requirements.lock
pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels .
version=$(echo /wheels/ci_warm-*.whl | cut -d- -f2)~deb$release

# Installed where it will be, so that every script names the right interpreter.
python3 -m venv --without-pip "$home"
pip --python "$home/bin/python" install --require-hashes --only-binary :all: -r requirements-web.lock
pip --python "$home/bin/python" install --no-index --no-deps /wheels/*.whl
rm -f "$home"/bin/activate* "$home"/bin/Activate.ps1

mkdir -p "$package/DEBIAN" "$package/usr/lib" "$package/usr/bin" "$package/usr/share/man/man1" "$package/usr/lib/systemd/system" \
  "$package/etc/ci-warm/apps" "$package/usr/share/doc/ci-warm"
cp -a "$home" "$package$home"
ln -s ../lib/ci-warm/bin/ci-warm "$package/usr/bin/ci-warm"
program=$home/bin/ci-warm
"$program" install-units --into "$package/usr/lib/systemd/system" --program /usr/bin/ci-warm >/dev/null
"$program" man "$package/usr/share/man/man1" >/dev/null
gzip -9n "$package"/usr/share/man/man1/*.1
put() { install -D -m 644 /dev/stdin "$package/$1"; }
"$program" completion bash | put usr/share/bash-completion/completions/ci-warm
"$program" completion zsh | put usr/share/zsh/vendor-completions/_ci-warm
"$program" completion fish | put usr/share/fish/vendor_completions.d/ci-warm.fish
put usr/lib/sysusers.d/ci-warm.conf <packaging/deb/sysusers.conf
put usr/lib/tmpfiles.d/ci-warm.conf <packaging/deb/tmpfiles.conf
put usr/share/doc/ci-warm/copyright <packaging/deb/copyright
put usr/share/ci-warm/ci-warm.rules.yml <packaging/monitoring/ci-warm.rules.yml
put usr/share/ci-warm/dashboard.json <packaging/monitoring/dashboard.json
gzip -9nc CHANGELOG.md | put usr/share/doc/ci-warm/changelog.gz
gzip -9nc LICENSE | put usr/share/doc/ci-warm/AGPL-3.gz

minor=$(python3 -c 'import sys; print(sys.version_info.minor)')
sed -e "s/@VERSION@/$version/" -e "s/@PYTHON@/python3 (>= 3.$minor), python3 (<< 3.$((minor + 1)))/" \
  -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$package" | cut -f1)/" packaging/deb/control >"$package/DEBIAN/control"
for script in postinst prerm postrm; do install -m 755 "packaging/deb/$script" "$package/DEBIAN/$script"; done
(cd "$package" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$package/DEBIAN/md5sums"
# Level 2: a tenth larger than the usual 6, in a fifth of the time.
dpkg-deb --root-owner-group -Zxz -z2 --build "$package" / >/dev/null
