"""Parts of the classroom: lessons, projector, lesson links, votes, replay. Widgets only."""
