// The format `acme`: a signed POST of JSON, confirmed by status 200 and the body `ok`.
//
// Everything that counts comes in through the arguments: there is no clock, no network and no key here. The contract
// is wit/merchant.wit; `paynotify plugin cases acme.wasm acme.cases` shows by examples what is written and judged.
//
// The package has the name that the generated bindings look for.
package export_paynotify_merchant_plugin

import (
	"encoding/hex"
	"regexp"
	"strconv"

	wit "go.bytecodealliance.org/pkg/wit/types"
	crypto "wit_component/paynotify_merchant_crypto"
	plugin "wit_component/paynotify_merchant_plugin"
	. "wit_component/paynotify_merchant_types"
)

const signed = crypto.AlgorithmHmacSha256

func Describe() plugin.Description {
	return plugin.Description{
		Name:           "acme",
		Version:        "0.1.0",
		Summary:        "A signed POST of JSON, confirmed by 200 and `ok`",
		SettingsSchema: `{"type":"object","additionalProperties":false}`,
		Keys:           []plugin.KeyNeed{{"signing", "signs the time and the body", []uint8{signed}, true}},
	}
}

var noSettings = regexp.MustCompile(`^\s*\{\s*\}\s*$`)

// The error is a text for the one who wrote the merchant's file.
func CheckSettings(settings string) wit.Result[wit.Unit, string] {
	if noSettings.MatchString(settings) {
		return wit.Ok[wit.Unit, string](wit.Unit{})
	}
	return wit.Err[wit.Unit, string]("the format has no settings")
}

func Format(notification Notification, endpoint Endpoint, attempt Attempt) wit.Result[HttpRequest, PluginError] {
	if notification.Kind != "payment" {
		return unusable("kind", "this format can tell of a payment only, not of `"+notification.Kind+"`")
	}
	for _, field := range []struct {
		name   string
		absent bool
	}{
		{"merchant-order-id", notification.MerchantOrderId.IsNone()},
		{"amount", notification.Amount.IsNone()},
		{"status", notification.Status.IsNone()},
	} {
		if field.absent {
			return unusable(field.name, "absent, and the format cannot do without it")
		}
	}
	amount := notification.Amount.Some()
	body := `{"id":` + quoted(notification.Id) + `,"order":` + quoted(notification.MerchantOrderId.Some()) +
		`,"amount":` + strconv.FormatInt(amount.Minor, 10) + `,"currency":` + quoted(amount.Currency) +
		`,"status":` + quoted(status(notification.Status.Some())) + `}`
	time := strconv.FormatInt(attempt.Now/1000, 10)
	// The key never comes here: the gateway signs. Of several keys the newest comes first.
	for _, key := range endpoint.Keys {
		if key.Role == "signing" {
			message := []crypto.Part{crypto.MakePartBytes([]byte(time + "." + body))}
			signature := crypto.Sign(key.Name, signed, message).Ok()
			headers := []Header{
				{"content-type", []byte("application/json")},
				{"acme-time", []byte(time)},
				{"acme-signature", []byte(hex.EncodeToString(signature))},
			}
			return wit.Ok[HttpRequest, PluginError](HttpRequest{"POST", endpoint.Url, headers, []byte(body)})
		}
	}
	return wit.Err[HttpRequest](MakePluginErrorUnusableKey("signing: the merchant's file gives no key to this role"))
}

var wait = regexp.MustCompile(`^wait ([0-9]{1,6})$`)

func Judge(_ Notification, _ Endpoint, response HttpResponse) wit.Result[Verdict, PluginError] {
	status, body := strconv.Itoa(int(response.Status)), string(response.Body)
	if response.Truncated {
		body = ""
	}
	asked := wait.FindStringSubmatch(body)
	verdict := retry(wit.None[uint32](), "status "+status+", wanted 200 and `ok`")
	switch {
	case status == "200" && body == "ok":
		verdict = MakeVerdictConfirmed(wit.None[string]())
	case status == "410":
		verdict = MakeVerdictStop("the merchant answered 410: it wants no more of this")
	case (status == "429" || status == "503") && asked != nil:
		seconds, _ := strconv.Atoi(asked[1])
		reason := "status " + status + ", and the merchant asks for a wait of " + strconv.Itoa(seconds) + " s"
		verdict = retry(wit.Some(uint32(seconds)), reason)
	}
	return wit.Ok[Verdict, PluginError](verdict)
}

func retry(after wit.Option[uint32], reason string) Verdict {
	return MakeVerdictRetry(RetryAdvice{AfterSeconds: after, Reason: reason})
}

func unusable(field, reason string) wit.Result[HttpRequest, PluginError] {
	return wit.Err[HttpRequest](MakePluginErrorUnusableRecord(field + ": " + reason))
}

func status(status PaymentStatus) string {
	return [...]string{"succeeded", "failed", "pending", "closed", "finished"}[status]
}

// A text as JSON has it. The standard library's JSON would write some characters in other ways than most do.
func quoted(text string) string {
	quoted := []byte{'"'}
	for _, letter := range []byte(text) {
		switch {
		case letter == '"' || letter == '\\':
			quoted = append(quoted, '\\', letter)
		case letter >= '\b' && letter <= '\r' && letter != '\v':
			quoted = append(quoted, '\\', "btn fr"[letter-'\b'])
		case letter < 0x20:
			quoted = append(quoted, `\u00`...)
			quoted = append(quoted, hex.EncodeToString([]byte{letter})...)
		default:
			quoted = append(quoted, letter)
		}
	}
	return string(append(quoted, '"'))
}
