#!/bin/bash
# assemble.sh ROOT PROGRAMS: puts the image's file system together in ROOT from Debian's files and the programs in PROGRAMS.
#
# What is copied is named here; libraries follow from the programs. Each Debian package that something came from leaves its
# copyright file and its record in var/lib/dpkg/status.d, where scanners look for it.
set -euo pipefail

root="$1"
programs="$2"
packages="$(mktemp)"

# The package of a file, which dpkg may know by its name from before /bin and /lib became links.
note_package() {
  local path="$1" owner
  for candidate in "$path" "/usr$path" "${path#/usr}"; do
    owner="$(dpkg -S "$candidate" 2>/dev/null | head -n 1 | sed 's/: .*//; s/,.*//')" || true
    if [ -n "$owner" ]; then
      echo "$owner" >>"$packages"
      return 0
    fi
  done
  echo "$path belongs to no package" >&2
  return 1
}

# Everything under /usr, as Debian means it since /bin and /lib are links.
place() {
  case "$1" in /usr/* | /etc/*) echo "$root$1" ;; *) echo "$root/usr$1" ;; esac
}

copy() {
  local target
  target="$(place "$1")"
  [ ! -e "$target" ] || return 0
  mkdir -p "$(dirname "$target")"
  cp -L --preserve=mode,timestamps "$1" "$target"
  note_package "$(readlink -f "$1")"
}

libraries_of() {
  ldd "$1" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'
}

mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/local/bin" "$root/etc" \
  "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/var/lib/dpkg/status.d"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
chmod 1777 "$root/tmp"

for program in "$programs"/*; do
  install -m 0755 "$program" "$root/usr/local/bin/"
  while read -r library; do copy "$library"; done < <(libraries_of "$program")
done

# The sandbox and what starts it; then as much of a shell as `docker exec` wants for reading a file.
for name in bwrap setpriv chrt tini sh cat ls; do
  path="$(command -v "$name")"
  copy "$path"
  while read -r library; do copy "$library"; done < <(libraries_of "$path")
done

# Texts and captions; more fonts are mounted at /usr/local/share/fonts.
mkdir -p "$root/usr/share/fonts/truetype" "$root/usr/share/fontconfig" "$root/usr/local/share/fonts"
cp -a /usr/share/fonts/truetype/dejavu "$root/usr/share/fonts/truetype/"
cp -a /usr/share/fontconfig/conf.avail "$root/usr/share/fontconfig/"
cp -a /etc/fonts "$root/etc/"
printf '%s\n' fonts-dejavu-core fontconfig-config >>"$packages"

mkdir -p "$root/etc/ssl/certs"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo ca-certificates >>"$packages"

mkdir -p "$root/usr/share/common-licenses"
cp -a /usr/share/common-licenses/. "$root/usr/share/common-licenses/"
cp -L /etc/os-release /etc/debian_version "$root/etc/"
echo base-files >>"$packages"

printf 'root:x:0:0:root:/:/usr/sbin/nologin\nrendiff:x:10001:10001:Rendiff:/data:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nrendiff:x:10001:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

sort -u "$packages" | while read -r package; do
  name="${package%%:*}"
  mkdir -p "$root/usr/share/doc/$name"
  cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/"
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$name"
done

ldconfig -r "$root"
rm -rf "$root/var/cache" "$packages"
mkdir -p /empty
du -sh "$root"
