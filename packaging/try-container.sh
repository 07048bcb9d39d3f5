#!/usr/bin/env bash
# Builds the image with buildah, on a Debian made here, and uses it as docs/how-to/install.md says: init in
# it, then a whole cycle at a sandbox on this machine. Needs root, buildah and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null || [ "$EUID" -ne 0 ]; then
  echo 'The container is not tried: that needs root, buildah and debootstrap.'
  exit 0
fi

export BUILDAH_ISOLATION=chroot # needs no runtime, and shares the network of this machine
work=$(mktemp -d)
made=()
tidy() {
  [ ! -s "$work/sandbox/pid" ] || kill "$(<"$work/sandbox/pid")" 2>/dev/null || true
  [ -z "${container:-}" ] || buildah rm "$container" >/dev/null || true
  [ "${#made[@]}" -eq 0 ] || buildah rmi "${made[@]}" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap tidy EXIT

not_tried() {
  echo "The container is not tried: $1."
  exit 0
}

# The base: what the Dockerfile asks for, with the certificates that this machine trusts.
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base" >"$work/log" 2>&1 \
  || not_tried 'debootstrap makes no Debian here'
rm -rf "$work"/base/var/cache/apt "$work"/base/var/lib/apt/lists
cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' > "$work/base/etc/pip.conf"
container=$(buildah from scratch) || not_tried 'buildah makes no container here'
buildah add --quiet "$container" "$work/base" / >/dev/null
buildah commit --quiet --rm "$container" drawcli-try-base >/dev/null
container=
made=(drawcli-try-base)
rm -rf "$work/base"

buildah build --build-arg BASE=localhost/drawcli-try-base --file packaging/Dockerfile --tag drawcli-try . >"$work/log" 2>&1 \
  || {
    cat "$work/log"
    ! grep -qE 'ConnectionError|ConnectTimeout|ReadTimeout|Temporary failure|ProxyError' "$work/log" \
      || not_tried 'the packages cannot be downloaded here'
    exit 1
  }
made=(drawcli-try drawcli-try-base)
buildah images drawcli-try

# A site as in the pages: the user of the image owns its folders, and may read the datastore.
container=$(buildah from drawcli-try)
buildah config --volume /var/lib/drawcli- "$container" # else each 'buildah run' has a new one
mkdir "$work/store"
install -d -o 10001 -g 10001 "$work"/{site,state,structures,sandbox}
inside() {
  buildah run --user 10001:10001 --volume "$work/site:/etc/drawcli" --volume "$work/state:/var/lib/drawcli" \
    --volume "$work/store:/mnt/dicom:ro" --volume "$work/structures:/mnt/structures" \
    --volume "$work/sandbox:/sandbox" --env DRAWCLI_DELIVER__FOLDER=/mnt/structures "$container" -- "$@"
}
drawcli() { inside entrypoint.sh "$@"; }
drawcli phantoms /sandbox/store --slices 12 --size 64 >/dev/null
mv "$work"/sandbox/store/* "$work/store/"
inside sh -c 'echo $$ >/sandbox/pid; exec timeout 300 drawcli sandbox --dir /sandbox --port 0' >"$work/server" 2>&1 &
for _ in {1..60}; do
  url=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/server" | head -n 1) && break
  sleep 1
done

drawcli init /etc/drawcli --url "$url" --practice
test -f "$work/state/site.key"
drawcli token set /sandbox/token.json
drawcli doctor
for _ in {1..20}; do
  drawcli run-once
  [ "$(find "$work/structures" -name 'RS.*.dcm' | wc -l)" -lt 3 ] || break
  sleep 2
done
drawcli status --all
test "$(find "$work/structures" -name 'RS.*.dcm' | wc -l)" -eq 3
echo 'The container is built, and three structure sets came through it.'
