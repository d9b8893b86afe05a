// Package identity verifies internal identities with the standard library alone; see docs/internal-identity.md.
package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

const Issuer, Audience, Skew, Lifetime, MostBytes = "auth_proxy", "frontend", 5, 30, 4096

var safe = map[string]bool{"GET": true, "HEAD": true, "OPTIONS": true}
var roles = map[string]bool{"super_admin": true, "support": true, "read_only": true, "security": true}
var texts = strings.Fields("iss aud sub email name jti opid role scope htm htp azp") // the first six are required

// Claims are the text claims by name, and the three numbers.
type Claims struct {
	Text          map[string]string
	Iat, Exp, Rev int64
}

// Verifier holds the key set by kid. With Delegate it takes the delegations of that service, else identities.
type Verifier struct {
	Keys     map[string]ed25519.PublicKey
	Delegate string
	mutex    sync.Mutex
	seen     map[string]int64
}

// members reads one flat JSON object of strings and whole numbers, each name once.
func members(data []byte) (map[string]string, map[string]int64, bool) {
	text, number, name := map[string]string{}, map[string]int64{}, ""
	reader := json.NewDecoder(bytes.NewReader(data))
	reader.UseNumber()
	if open, err := reader.Token(); err != nil || open != json.Delim('{') || !utf8.Valid(data) {
		return nil, nil, false
	}
	for isName := true; reader.More(); isName = !isName {
		token, err := reader.Token()
		if word, ok := token.(string); ok && isName {
			_, isText := text[word]
			if _, isNumber := number[word]; isText || isNumber {
				return nil, nil, false
			}
			name = word
		} else if ok {
			text[name] = word
		} else if digits, ok := token.(json.Number); !ok {
			return nil, nil, false
		} else if value, wrong := strconv.ParseUint(string(digits), 10, 53); err != nil || wrong != nil {
			return nil, nil, false
		} else {
			number[name] = int64(value)
		}
	}
	_, closed := reader.Token()
	_, end := reader.Token()
	return text, number, closed == nil && end == io.EOF
}

// Verify returns the claims of a request's identity, or an error that is the reason. The target is the path and
// query as received, now is in seconds.
func (v *Verifier) Verify(token, method, target string, now int64) (*Claims, error) {
	parts := strings.Split(token, ".")
	if len(token) > MostBytes || len(parts) != 3 {
		return nil, errors.New("malformed")
	}
	var data [3][]byte
	for i, part := range parts { // the comparison refuses line breaks, which the decoder skips
		data[i], _ = base64.RawURLEncoding.DecodeString(part)
		if base64.RawURLEncoding.EncodeToString(data[i]) != part {
			return nil, errors.New("malformed")
		}
	}
	head, numbers, ok := members(data[0])
	if !ok || len(head) != 3 || len(numbers) != 0 || head["alg"] != "EdDSA" || head["typ"] != "sally+jwt" {
		return nil, errors.New("malformed")
	}
	kid, ok := head["kid"]
	if !ok {
		return nil, errors.New("malformed")
	}
	key, ok := v.Keys[kid]
	if !ok {
		return nil, errors.New("key_unknown")
	}
	if !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), data[2]) {
		return nil, errors.New("signature")
	}
	return v.judge(data[1], method, target, now)
}

func (v *Verifier) judge(payload []byte, method, target string, now int64) (*Claims, error) {
	text, number, ok := members(payload)
	known := 0
	for i, name := range texts {
		_, here := text[name]
		ok = ok && (here || i >= 6)
		if here {
			known++
		}
	}
	iat, hasIat := number["iat"]
	exp, hasExp := number["exp"]
	rev, hasRev := number["rv"]
	_, person := text["opid"]
	role, hasRole := text["role"]
	_, process := text["scope"]
	htm, hasMethod := text["htm"]
	htp, hasTarget := text["htp"]
	azp, delegated := text["azp"]
	if ok = ok && known == len(text) && hasIat && hasExp && (len(number) == 2 || hasRev && len(number) == 3); !ok {
		return nil, errors.New("claims")
	}
	digest := sha256.Sum256([]byte(target))
	bound := htm == method && htp == base64.RawURLEncoding.EncodeToString(digest[:])
	reusable := safe[method] && !hasMethod && !hasTarget
	if v.Delegate != "" {
		bound, reusable = hasMethod && !safe[htm], safe[method]
	}
	switch {
	case text["sub"] == "" || len(text["jti"]) < 16 || hasRole && !roles[role]:
		return nil, errors.New("claims")
	case text["iss"] != Issuer:
		return nil, errors.New("issuer")
	case text["aud"] != Audience:
		return nil, errors.New("audience")
	case person != hasRole || person && process:
		return nil, errors.New("claims")
	case exp <= iat || exp-iat > Lifetime:
		return nil, errors.New("lifetime")
	case now >= exp+Skew:
		return nil, errors.New("expired")
	case iat > now+Skew:
		return nil, errors.New("not_yet_valid")
	case azp != v.Delegate || delegated != (v.Delegate != ""):
		return nil, errors.New("delegation")
	case !reusable && !bound:
		return nil, errors.New("binding")
	case !reusable && !v.firstUse(text["jti"], exp+Skew, now):
		return nil, errors.New("replayed")
	}
	return &Claims{text, iat, exp, rev}, nil
}

func (v *Verifier) firstUse(jti string, until, now int64) bool {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	for old, end := range v.seen {
		if end < now {
			delete(v.seen, old)
		}
	}
	if _, used := v.seen[jti]; used {
		return false
	}
	if v.seen == nil {
		v.seen = map[string]int64{}
	}
	v.seen[jti] = until
	return true
}
