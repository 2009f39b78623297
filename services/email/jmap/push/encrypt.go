package push

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// The sizes of RFC 8188 and RFC 8291.
const (
	authSize = 16
	saltSize = 16
	record   = 4096 // bytes of the one record that a message is, with what encryption adds
	overhead = 17   // the tag, and the byte that ends the last record
)

// encrypt makes a message that the device alone reads (RFC 8291, aes128gcm).
func encrypt(p256dh, auth, text []byte) ([]byte, error) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for a push message: %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails, as documented
	return seal(own, salt, p256dh, auth, text)
}

func seal(own *ecdh.PrivateKey, salt, p256dh, auth, text []byte) ([]byte, error) {
	device, err := ecdh.P256().NewPublicKey(p256dh)
	if err != nil {
		return nil, fmt.Errorf("read the key of a push subscription: %w", err)
	}
	shared, err := own.ECDH(device)
	if err != nil {
		return nil, fmt.Errorf("agree on the key of a push message: %w", err)
	}
	public := own.PublicKey().Bytes()
	ikm, err := hkdf.Key(sha256.New, shared, auth, "WebPush: info\x00"+string(p256dh)+string(public), 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a push message: %w", err)
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a push message: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a push message: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push message: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypt a push message: %w", err)
	}
	out := append([]byte{}, salt...)
	out = binary.BigEndian.AppendUint32(out, uint32(max(record, len(text)+overhead)))
	out = append(out, byte(len(public)))
	out = append(out, public...)
	return gcm.Seal(out, nonce, append(append([]byte{}, text...), 2), nil), nil
}
