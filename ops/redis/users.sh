#!/bin/sh
# Makes a password for each of Faxline's Redis users: FOLDER/users.acl is for the server and holds only their SHA-256,
# FOLDER/USER.url is what a part, the command or a producer is given.
#
#   ops/redis/users.sh FOLDER [HOST:PORT [CA-FILE]]     with the file of an authority the URLs are those of TLS
set -eu
umask 077
folder=$1 place=${2:-127.0.0.1:6379} authority=${3:-}
template=$(dirname "$0")/users.acl
if [ -e "$folder/users.acl" ]; then
  echo "$folder/users.acl is there already: to change all passwords, take it away first" >&2
  exit 1
fi
scheme=redis options=
if [ -n "$authority" ]; then
  scheme=rediss options="?ssl_ca_certs=$authority"
fi
mkdir -p "$folder"
rules=$(sed -e '/^#/d' -e '/^$/d' "$template")
for user in $(sed -n 's/^user \([a-z]*\) .*#<\1>.*/\1/p' "$template"); do
  password=$(openssl rand -hex 32)
  hash=$(printf %s "$password" | openssl dgst -sha256 -r | cut -d ' ' -f 1)
  rules=$(printf '%s\n' "$rules" | sed "s/#<$user>/#$hash/")
  printf '%s\n' "$scheme://$user:$password@$place/0$options" > "$folder/$user.url"
done
printf '%s\n' "$rules" > "$folder/users.acl"
