"""The page of a proof that says how to check it by hand."""

_PAGE = """\
# The proof of a fax

Fax {job}, account {account}

This folder proves what an archive of Faxline recorded about this fax, and that the record was not changed
afterwards. report.pdf tells it for people. Do not take a key from this folder: ask whoever keeps the archive
for its public key (a file that ends with .pub), once, by a way that you trust.

## With Faxline

It needs no network, no Redis and no database. In a checkout of Faxline:

    pip install '.[archive]'
    faxline verify THIS.zip --key archive.pem.pub

## By hand, with openssl and Python

Unpack the zip, and put the public key beside it as key.pub. First the two signatures:

```sh
for note in manifest checkpoint; do
python3 - $note.txt <<'END'
import base64, sys
text, _, line = open(sys.argv[1], encoding="utf-8").read().rpartition("\\n\\n")
open("signed", "w", encoding="utf-8").write(text + "\\n")
open("signature", "wb").write(base64.b64decode(line.split()[2])[4:])
END
openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in signed -sigfile signature
done
```

manifest.txt lists the SHA-256 of each other file. Nothing may be missing, changed or added:

```sh
grep '^[0-9a-f]\\{{64\\}}  ' manifest.txt | sha256sum --check
```

checkpoint.txt has the account, the number of leaves, the root of the tree, and the time of its signature.
Each file in entries is a leaf. Its path in proof.json leads to the root (RFC 9162, 2.1.3.2). Its member
"private" is the SHA-256 of the file with the same name in private, and the member "receipt" in its data is
the SHA-256 of a file in receipts.

```sh
python3 <<'END'
import base64, hashlib, json, os
sha = lambda data: hashlib.sha256(data).digest()
_, size, root, *_ = open("checkpoint.txt", encoding="utf-8").read().split("\\n")
for entry in json.load(open("proof.json"))["entries"]:
    leaf, last = entry["leaf"], int(size) - 1
    body = open(f"entries/{{leaf}}.json", "rb").read()
    found, index = sha(b"\\0" + body), leaf
    for step in map(bytes.fromhex, entry["path"]):
        if index % 2 or index == last:
            found = sha(b"\\1" + step + found)
            while index and index % 2 == 0:
                index, last = index // 2, last // 2
        else:
            found = sha(b"\\1" + found + step)
        index, last = index // 2, last // 2
    held = found == base64.b64decode(root) and last == 0
    opened = f"private/{{leaf}}.json"
    if os.path.exists(opened):
        held = held and sha(open(opened, "rb").read()).hex() == json.loads(body)["private"]
    print(leaf, "holds" if held else "DOES NOT HOLD")
END
```

## With other tools

The notes are C2SP signed notes, the checkpoint a C2SP tlog-checkpoint. This is the archive's key in their
form, to be compared with the one that you were given:

    {vkey}

## What it says, and what not

It says what the archive recorded, that each entry is in the account's signed tree, and (by the manifest's
signature) that these are the entries of this fax that the archive's database had: whoever could write to it
could hide one. Events that the archive never got are missing: "gaps" in proof.json says where some of the
account were lost, and the first entry is fax.queued where the beginning is there. The entries are proven.
report.pdf is drawn from another table, whose
state, reason, pages, receipt and numbers alone were compared with the entries. The receipt is
iFax's own word, which the daemon verified when it came. It does not say what a person at the other end has
read. Of the document it has the SHA-256, to be compared with the file that you keep.

Whoever holds the archive's key could have written something else before the first checkpoint was signed; no
proof shows that. Afterwards a changed history means two checkpoints that do not fit one another. So keep a
checkpoint now and then.
"""


def readme(account: str, job: str, vkey: str) -> str:
    """The page for one fax. `vkey` is the public key as other tools write it."""
    return _PAGE.format(account=account, job=job, vkey=vkey)
