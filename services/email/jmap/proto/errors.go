package proto

import (
	"fmt"
	"net/http"
)

// Error is the answer of a method that failed (RFC 8620 section 3.6.2).
type Error struct {
	Type        string
	Description string         // for people; "" for none
	Extra       map[string]any // more members, such as limit
}

// Error returns type and description.
func (e *Error) Error() string { return e.Type + ": " + e.Description }

func (e *Error) members() map[string]any {
	m := map[string]any{"type": e.Type}
	if e.Description != "" {
		m["description"] = e.Description
	}
	for k, v := range e.Extra {
		m[k] = v
	}
	return m
}

// Fail returns the error of a method with a description that is formatted like fmt.Sprintf.
func Fail(typ, format string, args ...any) *Error {
	return &Error{Type: typ, Description: fmt.Sprintf(format, args...)}
}

// InvalidArguments returns the error for an argument that is missing or wrong.
func InvalidArguments(format string, args ...any) *Error {
	return Fail("invalidArguments", format, args...)
}

// SetError is why one object was not created, updated, destroyed, imported or copied (RFC 8620 section 5.3).
type SetError struct {
	Type        string
	Description string
	Properties  []string       // only with invalidProperties, and where a type says so
	Extra       map[string]any // more members, such as existingId
}

// MarshalJSON writes the members that there are.
func (e *SetError) MarshalJSON() ([]byte, error) {
	m := map[string]any{"type": e.Type}
	if e.Description != "" {
		m["description"] = e.Description
	}
	if e.Properties != nil {
		m["properties"] = e.Properties
	}
	for k, v := range e.Extra {
		m[k] = v
	}
	return Marshal(m)
}

// Error returns type and description.
func (e *SetError) Error() string { return e.Type + ": " + e.Description }

// Refuse returns the error of an object with a description that is formatted like fmt.Sprintf.
func Refuse(typ, format string, args ...any) *SetError {
	return &SetError{Type: typ, Description: fmt.Sprintf(format, args...)}
}

// InvalidProperties returns the error for properties that are wrong.
func InvalidProperties(properties []string, format string, args ...any) *SetError {
	return &SetError{Type: "invalidProperties", Description: fmt.Sprintf(format, args...), Properties: properties}
}

// RequestError is why a whole request was refused (RFC 8620 section 3.6.1), as a problem document.
type RequestError struct {
	Type   string // urn:ietf:params:jmap:error:…
	Status int
	Detail string
	Limit  string // the name of the limit, with type …:limit
}

// Error returns type and detail.
func (e *RequestError) Error() string { return e.Type + ": " + e.Detail }

// Problem returns the members of the problem document (RFC 9457).
func (e *RequestError) Problem() map[string]any {
	m := map[string]any{"type": e.Type, "status": e.Status, "title": http.StatusText(e.Status), "detail": e.Detail}
	if e.Limit != "" {
		m["limit"] = e.Limit
	}
	return m
}

const requestErrors = "urn:ietf:params:jmap:error:"

// NotJSON refuses what is no I-JSON, or was not sent as JSON.
func NotJSON(format string, args ...any) *RequestError {
	return &RequestError{Type: requestErrors + "notJSON", Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// NotRequest refuses JSON that is no Request object.
func NotRequest(format string, args ...any) *RequestError {
	return &RequestError{Type: requestErrors + "notRequest", Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// UnknownCapability refuses a request that uses what there is not.
func UnknownCapability(name string) *RequestError {
	return &RequestError{Type: requestErrors + "unknownCapability", Status: http.StatusBadRequest,
		Detail: fmt.Sprintf("using names %.100q, which this server does not have; the session lists what there is", name)}
}

// OverLimit refuses a request that goes beyond one of the limits in the session's core capability.
func OverLimit(name, format string, args ...any) *RequestError {
	return &RequestError{Type: requestErrors + "limit", Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...), Limit: name}
}
