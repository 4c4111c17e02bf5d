"""The words that every stage of the lab speaks: frozen, validated types with numpy inside."""
