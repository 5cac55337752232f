#!/bin/sh
# Makes the test keys of this folder. Needs OpenSSL 3.
set -eu
cd "$(dirname "$0")"
if ls test-*.pem >/dev/null 2>&1; then
    echo "there are test keys already: remove them first" >&2
    exit 1
fi
umask 022

key=test-rsa-2048
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $key.pkcs8.pem
openssl rsa -in $key.pkcs8.pem -traditional -out $key.pkcs1.pem
openssl pkcs8 -topk8 -nocrypt -in $key.pkcs8.pem -outform DER | base64 -w 0 >$key.pkcs8.b64
openssl rsa -in $key.pkcs8.pem -traditional -outform DER | base64 -w 0 >$key.pkcs1.b64
openssl pkey -in $key.pkcs8.pem -pubout -out $key.public.pem
openssl rsa -in $key.pkcs8.pem -RSAPublicKey_out -out $key.public-pkcs1.pem
openssl rsa -in $key.pkcs8.pem -traditional -aes256 -passout pass:test -out $key.encrypted.pem
openssl pkcs8 -topk8 -in $key.pkcs8.pem -passout pass:test -out $key.encrypted-pkcs8.pem
openssl req -x509 -new -key $key.pkcs8.pem -subj "/CN=paynotify test" -days 36500 \
    -set_serial 0x5157F09EFDC096DE15EBE81A47057A7200000001 -out $key.certificate.pem

key=test-rsa-2048-other
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $key.pkcs8.pem
openssl req -x509 -new -key $key.pkcs8.pem -subj "/CN=paynotify other test" -days 36500 \
    -set_serial 0x02 -out $key.certificate.pem

for bits in 1024 4096 8192; do
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:$bits -out test-rsa-$bits.pem
done
openssl genpkey -quiet -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out test-rsa-pss.pem

key=test-ed25519
openssl genpkey -quiet -algorithm ED25519 -out $key.pem
openssl pkey -in $key.pem -outform DER | base64 -w 0 >$key.b64
openssl pkey -in $key.pem -pubout -out $key.public.pem
openssl req -x509 -new -key $key.pem -subj "/CN=paynotify test" -days 36500 -set_serial 0xE5 -out $key.certificate.pem

key=test-ec-p256
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $key.pkcs8.pem
openssl ec -in $key.pkcs8.pem -out $key.sec1.pem
