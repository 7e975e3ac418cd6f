#!/bin/sh
# Makes an authority of your own and a certificate of it for the Redis server: FOLDER/ca.crt is what clients trust,
# FOLDER/redis.crt and redis.key are the server's. Good for two years; run it again before they are over.
#
#   ops/redis/certificate.sh FOLDER [NAMES]     NAMES as openssl has them, such as DNS:redis.example.com,IP:10.0.0.5
set -eu
umask 077
names=${2:-DNS:localhost,IP:127.0.0.1}
mkdir -p "$1"
cd "$1"
if [ ! -e ca.key ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=Faxline' \
    -addext 'keyUsage=critical,keyCertSign' -keyout ca.key -out ca.crt 2> /dev/null
fi
{
  echo "subjectAltName=$names"
  echo 'subjectKeyIdentifier=hash'
  echo 'authorityKeyIdentifier=keyid'
} > redis.names
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=redis' -keyout redis.key -out redis.csr \
  2> /dev/null
openssl x509 -req -in redis.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 730 -extfile redis.names -out redis.crt \
  2> /dev/null
rm redis.csr redis.names
