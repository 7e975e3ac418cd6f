#!/usr/bin/env bash
# A fax with nothing but bash 4.4 and redis-cli 7.0: push it, follow its events to the end; or cancel one.
#
#   fax.sh send ID NUMBER FILE    such as: fax.sh send invoice-77 +12025550123 letter.pdf
#   fax.sh cancel ID
#
# Exit code: 0 delivered (of cancel: canceled), 1 it ended otherwise, 2 rejected or bad usage, 3 Redis did not
# answer or WAIT was over: run it again with the same ID, which sends nothing twice.
#
# REDIS_URL        such as redis://localhost:6379/0; a password rather in REDISCLI_AUTH, as others see arguments
# FAXLINE_ACCOUNT  the account's name (default)
# WAIT             seconds (3600)
set -euo pipefail
shopt -s inherit_errexit # $(…) ends at an error too

url=${REDIS_URL:-redis://localhost:6379/0}
trust=() # with rediss:// the authority of the server's certificate: rediss://…/0?ssl_ca_certs=FILE
if [[ $url =~ [?\&]ssl_ca_certs=([^\&]*) ]]; then trust=(--cacert "${BASH_REMATCH[1]}"); fi
url=${url%%\?*}
prefix="fax:{${FAXLINE_ACCOUNT:-default}}" # the braces are part of the key
events=$prefix:events
keep=604800 # seconds that an upload is kept until its entry is read
wait=${WAIT:-3600}

give_up() { # exit code, message
  printf 'fax.sh: %s\n' "$2" >&2
  exit "$1"
}

redis() { # -e: an error of the server is an exit code too
  redis-cli -u "$url" "${trust[@]}" --no-auth-warning -e --raw "$@" || give_up 3 "Redis did not do it; run this again with the same ID"
}

json_string() { # its argument, UTF-8, as a JSON string
  local LC_ALL=C text=$1 out='' char code i
  for ((i = 0; i < ${#text}; i++)); do
    char=${text:i:1}
    case $char in
      '"' | \\) out+=\\$char ;;
      [[:cntrl:]])
        printf -v code '\\u%04x' "'$char"
        out+=$code
        ;;
      *) out+=$char ;;
    esac
  done
  printf '"%s"' "$out"
}

text_of() { # member, JSON of an event: the member's text, without its backslashes
  # Inside a JSON string each quote has a backslash before it, so the pattern finds nothing there; and what a
  # producer wrote itself, the metadata, is the last member and cut off.
  local pattern="\"$1\":\"(([^\"\\]|\\\\.)*)\""
  if [[ ${2%%\"metadata\":*} =~ $pattern ]]; then printf '%s' "${BASH_REMATCH[1]//\\/}"; fi
}

last_event() { # where the stream ends now, so that nothing after it is missed
  local found
  found=$(redis XREVRANGE "$events" + - COUNT 1)
  found=${found%%$'\n'*}
  printf '%s' "${found:-0-0}"
}

push() { # kind, JSON; prints the entry's stream id
  redis XADD "$prefix:intake" '*' "$1" "$2"
}

upload() { # a file, under a name of its own that nobody can guess; prints its digest and the name
  local hex name
  hex=$(sha256sum <"$1")
  hex=${hex%% *}
  name=$(od -An -N16 -tx1 /dev/urandom)
  name=${name//[[:space:]]/}
  redis -X FILE SET "$prefix:upload:$name" FILE EX "$keep" <"$1" >/dev/null
  printf '%s %s' "$hex" "$name"
}

end_of() { # state: exit by it, if it is final; a cancel is a success if it canceled
  case $1 in
    delivered | failed | canceled | unconfirmed) [[ $1 == "$wanted" ]] && exit 0 || exit 1 ;;
  esac
}

heard() { # event, job, data
  [[ $2 == "$id" ]] || return 0
  local reason member message
  reason=$(text_of reason "$3")
  if [[ $1 == fax.rejected ]]; then
    [[ $(text_of entry "$3") == "$entry" ]] || return 0 # an older push of the same ID
    member=$(text_of member "$3")
    message=$(text_of message "$3") # which says how to mend it
    printf '%s\n' "$1 $reason${member:+ ($member)}${message:+: $message}"
    exit 2
  fi
  printf '%s\n' "$1${reason:+ $reason}"
  if [[ $1 == fax.cancel_refused && $wanted == canceled ]]; then exit 1; fi
  end_of "${1#fax.}"
}

follow() { # the id of the last event before the push
  local after=$1 lines line name event='' job='' data='' asked=$SECONDS until=$((SECONDS + wait)) state
  while ((SECONDS < until)); do
    lines=$(redis XREAD COUNT 100 BLOCK 1000 STREAMS "$events" "$after")
    lines=${lines#"$events"$'\n'}
    name='' event=''
    while IFS= read -r line; do # an entry is its id, then each field's name and value, a line each
      if [[ -n $name ]]; then
        case $name in event) event=$line ;; job) job=$line ;; data) data=$line ;; esac
        name=''
      elif [[ $line =~ ^[0-9]+-[0-9]+$ ]]; then
        if [[ -n $event ]]; then heard "$event" "$job" "$data"; fi
        after=$line event='' job='' data=''
      else
        name=$line
      fi
    done <<<"$lines"
    if [[ -n $event ]]; then
      heard "$event" "$job" "$data"
      ((SECONDS < asked + 5)) && continue # the record is asked when nothing happens, and now and then
    fi
    # A job that had ended before the push, or whose event the stream's cap has dropped, has its state in the record.
    asked=$SECONDS
    state=$(redis HGET "$prefix:job:$id" state)
    case $state in delivered | failed | canceled | unconfirmed) printf 'the record says %s\n' "$state" ;; esac
    end_of "$state"
  done
  give_up 3 "$id has not ended within $wait s and is ${state:-unknown}"
}

[[ $# -ge 2 ]] || give_up 2 'usage: fax.sh send ID NUMBER FILE | fax.sh cancel ID'
[[ $wait =~ ^[0-9]+$ ]] || give_up 2 'WAIT is a number of seconds'
id=$2
case $1:$# in
  send:4)
    wanted=delivered
    [[ -r $4 ]] || give_up 2 "cannot read $4"
    before=$(last_event)
    uploaded=$(upload "$4")
    file="{\"fileName\":$(json_string "${4##*/}"),\"document\":\"sha256:${uploaded% *}\",\"upload\":\"${uploaded#* }\"}"
    entry=$(push send "{\"id\":$(json_string "$id"),\"fax\":{\"faxNumber\":$(json_string "$3"),\"faxData\":[$file]}}")
    ;;
  cancel:2)
    wanted=canceled
    before=$(last_event)
    entry=$(push cancel "{\"id\":$(json_string "$id")}")
    ;;
  *) give_up 2 'usage: fax.sh send ID NUMBER FILE | fax.sh cancel ID' ;;
esac
follow "$before"
