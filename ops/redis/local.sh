#!/bin/sh
# Writes FOLDER/redis.conf: ops/redis/redis.conf by TLS on 127.0.0.1, with the users and the certificate of that folder.
#
#   ops/redis/local.sh FOLDER [PORT]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
cat > redis.conf << END
include $here/redis.conf
dir $PWD
pidfile $PWD/redis.pid
logfile $PWD/redis.log
port 0
tls-port ${2:-6379}
tls-cert-file $PWD/redis.crt
tls-key-file $PWD/redis.key
tls-ca-cert-file $PWD/ca.crt
tls-auth-clients no
aclfile $PWD/users.acl
END
