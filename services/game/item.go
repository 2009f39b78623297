package game

import (
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// What one player can own.
const (
	maxOwned = 1 << 53 // exact in every JSON reader
	maxKinds = 10_000
)

// newPlayerItems is what everybody begins with.
func newPlayerItems() []api.GameItem { return []api.GameItem{{SKU: "starter_pack", Qty: 1}} }

type inventoryIn struct {
	UserID userID `path:"user_id" doc:"whose things"`
}

func (s *Service) inventory(c *web.Call, in inventoryIn) (api.GameInventory, error) {
	user, err := s.player(c, in.UserID)
	if err != nil {
		return api.GameInventory{}, err
	}
	items, known, err := s.store.Items(c.Context(), user)
	if !known {
		items = newPlayerItems() // and nothing is stored for a look
	}
	return api.GameInventory{UserID: string(in.UserID), Items: items}, err
}

type addItemIn struct {
	UserID userID `path:"user_id" doc:"who gets it"`
	SKU    string `json:"sku" web:"required" doc:"the thing's name, 1 to 64 characters"`
	Qty    int64  `json:"qty" web:"required" min:"1" max:"1000000000" doc:"how many are added"`
}

// Check cleans the name.
func (in *addItemIn) Check() error { return cleanNames(named{"sku", &in.SKU}) }

func (s *Service) addItem(c *web.Call, tx Tx, in addItemIn) (api.GameInventory, error) {
	user, err := s.player(c, in.UserID)
	if err != nil {
		return api.GameInventory{}, err
	}
	have, kinds, err := s.owned(tx, user, in.SKU)
	switch {
	case err != nil:
		return api.GameInventory{}, err
	case have > maxOwned-in.Qty:
		return api.GameInventory{}, errs.BadField("qty", "would make more than %d, the most that one player can own of a thing", int64(maxOwned))
	case have == 0 && kinds >= maxKinds:
		return api.GameInventory{}, errs.BadField("sku", "would be the player's %dth kind of thing, and %d is the most", kinds+1, maxKinds)
	}
	if err := tx.SetItem(user, in.SKU, have+in.Qty); err != nil {
		return api.GameInventory{}, err
	}
	items, err := tx.Items(user)
	return api.GameInventory{UserID: string(in.UserID), Items: items}, err
}

// owned tells what a player has of a thing, and of how many kinds; a new player first gets
// what everybody begins with.
func (s *Service) owned(tx Tx, user, sku string) (qty int64, kinds int, err error) {
	qty, kinds, err = tx.Item(user, sku)
	if err != nil || kinds > 0 {
		return qty, kinds, err
	}
	for _, i := range newPlayerItems() {
		if err := tx.SetItem(user, i.SKU, i.Qty); err != nil {
			return 0, 0, err
		}
	}
	return tx.Item(user, sku)
}
