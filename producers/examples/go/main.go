// A fax with go-redis: push it, follow its events in a consumer group to the end; or cancel one.
//
//	go run . send ID NUMBER FILE    such as: go run . send invoice-77 +12025550123 letter.pdf
//	go run . cancel ID
//
// Exit code (of the built program; `go run` makes 1 of each that is not 0): 0 delivered (of cancel: canceled),
// 1 it ended otherwise, 2 rejected or bad usage, 3 Redis did not answer or WAIT was over: run it again with the
// same ID, which sends nothing twice.
//
// REDIS_URL, FAXLINE_ACCOUNT (default), WAIT (seconds, 3600)
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	usage = "usage: fax send ID NUMBER FILE | fax cancel ID"
	keep  = 7 * 24 * time.Hour // how long an upload is kept until its entry is read
	block = time.Second        // how long a read waits for an event
)

// failure ends the program with an exit code.
type failure struct {
	code    int
	message string
}

func (f failure) Error() string { return f.message }

// account is one account's line: the names of its keys, and a client.
type account struct {
	redis  *redis.Client
	prefix string
	events string
}

type file struct {
	FileName string `json:"fileName"`
	Document string `json:"document"`
	Upload   string `json:"upload"`
}

type request struct {
	FaxNumber string `json:"faxNumber"`
	FaxData   []file `json:"faxData"`
}

type sendEntry struct {
	ID  string  `json:"id"`
	Fax request `json:"fax"`
}

type cancelEntry struct {
	ID string `json:"id"`
}

// eventData has the members that this program looks at; there are more, and a newer Faxline may add some.
type eventData struct {
	Reason  string `json:"reason"`
	Member  string `json:"member"`
	Message string `json:"message"` // of a rejection: how to mend it
	Entry   string `json:"entry"`
}

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "fax:", err)
		code = 3
		var known failure
		if errors.As(err, &known) {
			code = known.code
		}
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	sends := len(args) == 4 && args[0] == "send"
	if !sends && !(len(args) == 2 && args[0] == "cancel") {
		return 0, failure{2, usage}
	}
	seconds, err := strconv.Atoi(variable("WAIT", "3600"))
	if err != nil {
		return 0, failure{2, "WAIT is a number of seconds"}
	}
	// With rediss:// the authority of the server's certificate: rediss://…/0?ssl_ca_certs=FILE
	url, query, _ := strings.Cut(variable("REDIS_URL", "redis://localhost:6379/0"), "?")
	options, err := redis.ParseURL(url)
	if err != nil {
		return 0, failure{2, "REDIS_URL is no URL of a Redis"}
	}
	if file, found := strings.CutPrefix(query, "ssl_ca_certs="); found && options.TLSConfig != nil {
		trusted, err := os.ReadFile(file)
		if err != nil {
			return 0, failure{2, "the file of ssl_ca_certs cannot be read"}
		}
		options.TLSConfig.RootCAs = x509.NewCertPool()
		options.TLSConfig.RootCAs.AppendCertsFromPEM(trusted)
	}
	prefix := "fax:{" + variable("FAXLINE_ACCOUNT", "default") + "}" // the braces are part of the key
	line := account{redis: redis.NewClient(options), prefix: prefix, events: prefix + ":events"}
	defer line.redis.Close()

	// A service has one group for all its faxes, of a name that stays, and in it a consumer for each of its
	// processes. This follows one fax in one process, so the group is its own, and goes with it.
	id, group := args[1], "example:"+unique()
	// Before the push, so that no event is missed.
	if err := line.redis.XGroupCreateMkStream(ctx, line.events, group, "$").Err(); err != nil {
		return 0, err
	}
	defer line.redis.XGroupDestroy(ctx, line.events, group)
	wanted, entry := "canceled", ""
	if sends {
		wanted = "delivered"
		entry, err = line.pushFax(ctx, id, args[2], args[3])
	} else {
		entry, err = line.push(ctx, "cancel", cancelEntry{ID: id}, nil)
	}
	if err != nil {
		return 0, err
	}
	return line.follow(ctx, group, id, entry, wanted, time.Now().Add(time.Duration(seconds)*time.Second))
}

func unique() string {
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		panic(err)
	}
	return hex.EncodeToString(name)
}

func variable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// pushFax uploads the document under a name that nobody can guess and pushes the entry, which names it and its digest. The same id again is ignored, so a push whose
// reply was lost can be made again.
func (a account) pushFax(ctx context.Context, id, number, path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", failure{2, "cannot read " + path}
	}
	sum := sha256.Sum256(content)
	digest, upload := hex.EncodeToString(sum[:]), unique()
	entry := sendEntry{ID: id, Fax: request{
		FaxNumber: number,
		FaxData:   []file{{FileName: filepath.Base(path), Document: "sha256:" + digest, Upload: upload}},
	}}
	return a.push(ctx, "send", entry, func(pipe redis.Pipeliner) {
		pipe.Set(ctx, a.prefix+":upload:"+upload, content, keep)
	})
}

// push adds an entry, in one transaction with what goes before it: Redis takes all of it or nothing.
// It returns the entry's stream id.
func (a account) push(ctx context.Context, kind string, entry any, before func(redis.Pipeliner)) (string, error) {
	text, err := json.Marshal(entry)
	if err != nil {
		return "", err
	}
	var added *redis.StringCmd
	_, err = a.redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		if before != nil {
			before(pipe)
		}
		added = pipe.XAdd(ctx, &redis.XAddArgs{Stream: a.prefix + ":intake", Values: []any{kind, string(text)}})
		return nil
	})
	if err != nil {
		return "", err
	}
	return added.Val(), nil
}

// follow reads the events of the group until the job has come to its end, and returns the exit code.
func (a account) follow(
	ctx context.Context, group, id, entry, wanted string, until time.Time,
) (int, error) {
	// What was delivered and never acknowledged comes first, and again whenever it is quiet: a process may have
	// died over it, or a reply been lost.
	since := "0"
	asked := time.Now()
	for {
		messages, err := a.read(ctx, group, since)
		if err != nil {
			return 0, err
		}
		for _, message := range messages {
			code, ended, err := printEvent(message.Values, id, entry, wanted)
			if err != nil {
				return 0, err
			}
			if err := a.redis.XAck(ctx, a.events, group, message.ID).Err(); err != nil {
				return 0, err
			}
			if ended {
				return code, nil
			}
		}
		quiet := len(messages) == 0 && since == ">"
		switch {
		case quiet:
			since = "0"
		case len(messages) == 0:
			since = ">"
		}
		state := ""
		if quiet || time.Since(asked) > 5*time.Second {
			// A job that had ended before the push, or whose event the cap has dropped, has its state in the record.
			asked = time.Now()
			state, err = a.redis.HGet(ctx, a.prefix+":job:"+id, "state").Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				return 0, err
			}
			if final(state) {
				fmt.Println("the record says", state)
				return exitCode(state, wanted), nil
			}
		}
		if time.Now().After(until) {
			return 0, failure{3, id + " has not ended in time"}
		}
	}
}

// read returns the next events of the group; none if none comes for a while.
func (a account) read(ctx context.Context, group, since string) ([]redis.XMessage, error) {
	streams, err := a.redis.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: group, Consumer: "me", Streams: []string{a.events, since}, Count: 100, Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) || (err == nil && len(streams) == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// printEvent prints an event of the job; says whether the job has ended by it, and then the exit code.
func printEvent(fields map[string]any, id, entry, wanted string) (int, bool, error) {
	name, _ := fields["event"].(string)
	if job, _ := fields["job"].(string); job != id { // also where the cap has dropped the event meanwhile
		return 0, false, nil
	}
	var data eventData
	text, _ := fields["data"].(string)
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return 0, false, err
	}
	if name == "fax.rejected" {
		if data.Entry != entry { // an older push of the same id
			return 0, false, nil
		}
		text := name + " " + data.Reason
		if data.Member != "" {
			text += " (" + data.Member + ")"
		}
		if data.Message != "" {
			text += ": " + data.Message
		}
		fmt.Println(text)
		return 2, true, nil
	}
	fmt.Println(strings.TrimSpace(name + " " + data.Reason))
	if name == "fax.cancel_refused" && wanted == "canceled" {
		return 1, true, nil
	}
	state := strings.TrimPrefix(name, "fax.")
	return exitCode(state, wanted), final(state), nil
}

func final(state string) bool {
	switch state {
	case "delivered", "failed", "canceled", "unconfirmed":
		return true
	}
	return false
}

func exitCode(state, wanted string) int {
	if state == wanted {
		return 0
	}
	return 1
}
