#!/usr/bin/env bash
# Boots a real systemd on a copy of this machine's files that only exists in memory. Runs in a mount namespace of its own,
# so nothing of it is left: `unshare --mount --propagation private bash machine.sh STAGE`.
#
# STAGE: a directory whose files are laid over the root; opt/src in it is what gets installed, as deploy/README.md says.
set -euo pipefail
stage=$1

memory=$(mktemp -d "$stage.XXXXXXXX")
mount -t tmpfs -o size=2G,mode=0755 tmpfs "$memory"
mkdir "$memory"/{upper,work,root}
cp -a "$stage/." "$memory/upper"
mount -t overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" overlay "$memory/root"
: >"$memory/root/etc/machine-id"

mount --bind /proc "$memory/root/proc"
chroot "$memory/root" /usr/bin/python3 -m venv /opt/guardd
chroot "$memory/root" /opt/guardd/bin/pip install -q --disable-pip-version-check /opt/src
umount "$memory/root/proc"

echo "installed"
exec systemd-nspawn -q -D "$memory/root" --boot --register=no --keep-unit --private-network --console=pipe \
    systemd.unit=stage.target </dev/null
