#!/bin/sh
# base-image.sh TAG: make a Debian base image with Python, without an image registry, on a Debian host: debootstrap
# from the host's own package mirror, of the host's own release. Then:
#
#   PEERWATT_BASE=TAG docker compose -f docker/compose.yaml up
#
# Needs root (for debootstrap) and a running Docker engine.
set -eu
tag=${1:?usage: base-image.sh TAG}
release=$(. /etc/os-release && echo "${VERSION_CODENAME:?this host names no Debian release}")
mirror=$(apt-cache policy | sed -nE "s#^ *[0-9]+ (https?:[^ ]+) $release/main .*#\1#p" | head -n 1)
: "${mirror:?apt knows no mirror for $release/main: run apt-get update first}"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv "$release" "$work/root" "$mirror" \
    > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
# No documentation and no translations, now and when packages are added, as in slim images.
{
    for what in doc man info locale; do echo "path-exclude=/usr/share/$what/*"; done
    echo 'path-include=/usr/share/doc/*/copyright'
} > "$work/root/etc/dpkg/dpkg.cfg.d/slim"
find "$work"/root/usr/share/doc ! -name copyright -type f -delete
rm -rf "$work"/root/usr/share/man/* "$work"/root/usr/share/info/* "$work"/root/usr/share/locale/*
rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
tar -C "$work/root" -c . | docker import --change 'ENV LANG=C.UTF-8' - "$tag"
